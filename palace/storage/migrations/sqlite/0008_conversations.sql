-- Conversations that go on, or went on: how far each has come, and all that happened in it.

-- `script` and `given` are what it was given at its start, `state` is how far it has come after `number` steps; all are
-- JSON. At `wake_at` something is to happen by itself; it is null once the conversation is over.
CREATE TABLE conversations (
    document INTEGER PRIMARY KEY REFERENCES documents (seq) ON DELETE CASCADE,
    number   INTEGER NOT NULL,
    wake_at  TEXT,
    state    BLOB NOT NULL,
    script   BLOB NOT NULL,
    given    BLOB NOT NULL
) STRICT;

CREATE INDEX conversations_to_wake ON conversations (wake_at) WHERE wake_at IS NOT NULL;

-- What happened, by step and by place in the step: app messages with their `seq`, lines of the transcript, events, calls
-- of tools, and how long turns took. `body` is JSON.
CREATE TABLE conversation_log (
    document INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    step     INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('message', 'line', 'event', 'call', 'turn')),
    seq      INTEGER NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (document, step, place)
) STRICT, WITHOUT ROWID;

-- How long after somebody spoke each part of a turn came, in microseconds; null for what did not. `pal` and `revision` are
-- what the conversation keeps, `at` is when somebody spoke. The log has the same, and more, in the words of the API.
CREATE TABLE conversation_turns (
    document          INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    turn              INTEGER NOT NULL,
    account           INTEGER NOT NULL,
    pal               TEXT NOT NULL,
    revision          INTEGER NOT NULL,
    at                TEXT NOT NULL,
    context_built_us  INTEGER,
    first_token_us    INTEGER,
    first_sentence_us INTEGER,
    last_token_us     INTEGER,
    tools_us          INTEGER,
    delivered_us      INTEGER,
    PRIMARY KEY (document, turn)
) STRICT, WITHOUT ROWID;

CREATE INDEX turns_of_pal ON conversation_turns (account, pal, at);

-- What conversations are found by: the words of their names and, once they are over, of what was said; without the case of
-- their letters.
CREATE TABLE conversation_words (
    document INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    word     TEXT NOT NULL,
    account  INTEGER NOT NULL,
    PRIMARY KEY (document, word)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversations_with_word ON conversation_words (account, word, document);

CREATE INDEX conversations_by_age ON documents (updated_at) WHERE kind = 'conversation';

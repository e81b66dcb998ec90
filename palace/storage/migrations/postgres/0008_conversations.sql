-- Conversations that go on, or went on: how far each has come, and all that happened in it.

-- `script` and `given` are what it was given at its start, `state` is how far it has come after `number` steps; all are
-- JSON. At `wake_at` something is to happen by itself; it is null once the conversation is over.
CREATE TABLE conversations (
    document bigint PRIMARY KEY REFERENCES documents (seq) ON DELETE CASCADE,
    number   bigint NOT NULL,
    wake_at  text COLLATE "C",
    state    bytea NOT NULL,
    script   bytea NOT NULL,
    given    bytea NOT NULL
);

CREATE INDEX conversations_to_wake ON conversations (wake_at) WHERE wake_at IS NOT NULL;

-- What happened, by step and by place in the step: app messages with their `seq`, lines of the transcript, events, calls
-- of tools, and how long turns took. `body` is JSON.
CREATE TABLE conversation_log (
    document bigint NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    step     bigint NOT NULL,
    place    bigint NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('message', 'line', 'event', 'call', 'turn')),
    seq      bigint NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (document, step, place)
);

-- How long after somebody spoke each part of a turn came, in microseconds; null for what did not. `pal` and `revision` are
-- what the conversation keeps, `at` is when somebody spoke. The log has the same, and more, in the words of the API.
CREATE TABLE conversation_turns (
    document          bigint NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    turn              bigint NOT NULL,
    account           bigint NOT NULL,
    pal               text COLLATE "C" NOT NULL,
    revision          bigint NOT NULL,
    at                text COLLATE "C" NOT NULL,
    context_built_us  bigint,
    first_token_us    bigint,
    first_sentence_us bigint,
    last_token_us     bigint,
    tools_us          bigint,
    delivered_us      bigint,
    PRIMARY KEY (document, turn)
);

CREATE INDEX turns_of_pal ON conversation_turns (account, pal, at);

-- What conversations are found by: the words of their names and, once they are over, of what was said; without the case of
-- their letters.
CREATE TABLE conversation_words (
    document bigint NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    word     text COLLATE "C" NOT NULL,
    account  bigint NOT NULL,
    PRIMARY KEY (document, word)
);

CREATE INDEX conversations_with_word ON conversation_words (account, word, document);

CREATE INDEX conversations_by_age ON documents (updated_at) WHERE kind = 'conversation';

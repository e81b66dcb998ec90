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

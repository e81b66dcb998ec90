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

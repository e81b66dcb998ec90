-- Callbacks: what is told to an address that a client named, and what became of each attempt.

-- A delivery is written with what it tells, and made at least once. Of a lane the oldest one that waits goes first: its
-- number is its place. It goes with its document for good, not when that is only deleted. `tries` counts the attempts
-- since it was asked for, at `asked_at`; `attempts` counts all. The wide column stands last.
CREATE TABLE deliveries (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    account      INTEGER NOT NULL,
    document     INTEGER REFERENCES documents (seq) ON DELETE CASCADE,
    lane         TEXT NOT NULL,
    url          TEXT NOT NULL,
    event_type   TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'parked')),
    attempts     INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    asked_at     TEXT NOT NULL,
    due_at       TEXT NOT NULL,
    leased_until TEXT NOT NULL DEFAULT '',
    last_status  INTEGER,
    last_problem TEXT,
    delivered_at TEXT,
    body         BLOB NOT NULL
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_of_lane ON deliveries (lane, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_of_account ON deliveries (account, seq);
CREATE INDEX deliveries_of_document ON deliveries (document);
CREATE INDEX deliveries_by_age ON deliveries (created_at) WHERE state <> 'waiting';

-- `answer` is the beginning of what the receiver said.
CREATE TABLE delivery_attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (seq) ON DELETE CASCADE,
    attempt  INTEGER NOT NULL,
    at       TEXT NOT NULL,
    ms       INTEGER NOT NULL,
    status   INTEGER,
    problem  TEXT,
    answer   BLOB NOT NULL,
    PRIMARY KEY (delivery, attempt)
) STRICT;

-- Who did what to which object: a chain of rows, each bound to those before it (docs/decisions/0009-audit.md).

CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    account    INTEGER NOT NULL,
    key_id     TEXT,
    action     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    revision   INTEGER,
    request_id TEXT,
    mac        BLOB NOT NULL
) STRICT;

-- The number of the last row, and what proves that it is the last one.
CREATE TABLE audit_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq  INTEGER NOT NULL,
    tag  BLOB NOT NULL
) STRICT;

-- Secrets of the server's own. Each is sealed for the place `server/name`; `audit_key` also tells whether a master key
-- is the right one.
CREATE TABLE server_secrets (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

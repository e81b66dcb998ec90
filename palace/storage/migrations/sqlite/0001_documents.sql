-- Accounts, their API keys, documents of all kinds, and the names that must be unique.

CREATE TABLE accounts (
    account    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
) STRICT;

-- A key is kept as its SHA-256 only.
CREATE TABLE keys (
    key_id     TEXT PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE,
    account    INTEGER NOT NULL REFERENCES accounts (account),
    label      TEXT NOT NULL,
    hint       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

-- `seq` is the order of creation. `owner` 0 means a stock object: everybody reads it, nobody changes it.
-- The wide columns stand last, so that reading the narrow ones touches no overflow page.
CREATE TABLE documents (
    seq        INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    secrets    BLOB,
    body       BLOB NOT NULL,
    UNIQUE (kind, id)
) STRICT;

CREATE INDEX documents_of_owner ON documents (kind, owner, seq);

-- Names that only one object may hold, such as the user name under which a PAL joins meetings.
CREATE TABLE claims (
    scope TEXT NOT NULL,
    name  TEXT NOT NULL,
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_of_object ON claims (kind, id);

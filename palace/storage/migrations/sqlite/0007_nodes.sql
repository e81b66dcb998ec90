-- What several servers on one database need, and searching without calling a function of ours.

-- The audit log may have several chains, so that servers need not wait for each other; here there is one, number 0.
CREATE TABLE audit_chains (
    chain      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    at         TEXT NOT NULL,
    account    INTEGER NOT NULL,
    key_id     TEXT,
    action     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    revision   INTEGER,
    request_id TEXT,
    mac        BLOB NOT NULL,
    PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_chains
SELECT 0, seq, at, account, key_id, action, kind, id, revision, request_id, mac FROM audit;

DROP TABLE audit;
ALTER TABLE audit_chains RENAME TO audit;

CREATE TABLE audit_heads (
    chain INTEGER PRIMARY KEY,
    seq   INTEGER NOT NULL,
    tag   BLOB NOT NULL
) STRICT;

INSERT INTO audit_heads SELECT 0, seq, tag FROM audit_head;
DROP TABLE audit_head;

-- A label as lists search for it: without the case of its letters, in any alphabet.
ALTER TABLE labels ADD COLUMN folded TEXT NOT NULL DEFAULT '';
UPDATE labels SET folded = fold(value);

-- Who works at a job has it until then; when nobody said to go on, somebody else begins it anew.
ALTER TABLE jobs ADD COLUMN leased_until TEXT NOT NULL DEFAULT '';

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

-- How many documents there are to list, kept by triggers: counting a million takes longer than all else of a page.
CREATE TABLE document_counts (
    kind      TEXT NOT NULL,
    owner     INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    PRIMARY KEY (kind, owner)
) STRICT, WITHOUT ROWID;

INSERT INTO document_counts
SELECT kind, owner, count(*) FROM documents WHERE deleted_at IS NULL GROUP BY kind, owner;

CREATE TRIGGER count_new_document AFTER INSERT ON documents WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO document_counts (kind, owner, documents) VALUES (NEW.kind, NEW.owner, 1)
    ON CONFLICT (kind, owner) DO UPDATE SET documents = documents + 1;
END;

CREATE TRIGGER count_restored_document AFTER UPDATE OF deleted_at ON documents
WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
BEGIN
    UPDATE document_counts SET documents = documents + 1 WHERE kind = NEW.kind AND owner = NEW.owner;
END;

CREATE TRIGGER count_hidden_document AFTER UPDATE OF deleted_at ON documents
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    UPDATE document_counts SET documents = documents - 1 WHERE kind = NEW.kind AND owner = NEW.owner;
END;

CREATE TRIGGER count_gone_document AFTER DELETE ON documents WHEN OLD.deleted_at IS NULL
BEGIN
    UPDATE document_counts SET documents = documents - 1 WHERE kind = OLD.kind AND owner = OLD.owner;
END;

-- Every change of a document is remembered; secrets lie in a table of their own and are referred to; first answers
-- under an idempotency key are kept.

-- `etag` is a hash of what the document says. `base` is the newest revision that is kept whole. A deleted document stays,
-- marked by `deleted_at`, until it can no longer be restored.
CREATE TABLE documents_with_history (
    seq        INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    base       INTEGER NOT NULL,
    etag       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT,
    secrets    BLOB,
    body       BLOB NOT NULL,
    UNIQUE (kind, id)
) STRICT;

-- A secret is sealed for its place: `kind/id/pointer`. Documents and revisions name it by its random id.
CREATE TABLE secrets (
    secret   TEXT PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents_with_history (seq) ON DELETE CASCADE,
    place    TEXT NOT NULL,
    sealed   BLOB NOT NULL
) STRICT;

CREATE INDEX secrets_of_document ON secrets (document);

CREATE TEMP TABLE sealed_before AS
SELECT documents.seq AS document, lower(hex(randomblob(10))) AS secret, documents.kind || '/' || documents.id || member.key AS place,
       member.key AS pointer, from_base64(member.value) AS sealed
FROM documents, json_each(CAST(documents.secrets AS TEXT)) AS member
WHERE documents.secrets IS NOT NULL;

INSERT INTO documents_with_history
SELECT seq, kind, id, owner, revision, revision, '', created_at, updated_at, NULL,
       (SELECT CAST(json_group_object(pointer, secret) AS BLOB)
        FROM (SELECT pointer, secret FROM sealed_before WHERE document = documents.seq ORDER BY pointer)
        HAVING count(*) > 0),
       body
FROM documents;

UPDATE documents_with_history SET etag = content_etag(body, secrets);

INSERT INTO secrets (secret, document, place, sealed) SELECT secret, document, place, sealed FROM sealed_before;

DROP TABLE sealed_before;
DROP TABLE documents;
ALTER TABLE documents_with_history RENAME TO documents;
CREATE INDEX documents_of_owner ON documents (kind, owner, seq) WHERE deleted_at IS NULL;
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;

-- `content` is a whole document where `base` is the row's own number, else the JSON Patch from the revision before.
-- The wide column stands last.
CREATE TABLE revisions (
    document   INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    base       INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    action     TEXT NOT NULL,
    etag       TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    comment    TEXT,
    touched    BLOB NOT NULL,
    about      BLOB,
    secrets    BLOB,
    content    BLOB NOT NULL,
    PRIMARY KEY (document, number)
) STRICT;

-- What was there before history began is its first remembered state.
INSERT INTO revisions
SELECT seq, revision, revision, updated_at, 'baseline', etag, '', '', NULL, CAST('[]' AS BLOB), NULL, secrets, body
FROM documents;

-- The first answer under each idempotency key of an account.
CREATE TABLE answers (
    account     INTEGER NOT NULL REFERENCES accounts (account),
    key         TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    status      INTEGER NOT NULL,
    is_spelled  INTEGER NOT NULL,
    headers     BLOB NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (account, key)
) STRICT;

CREATE INDEX answers_by_age ON answers (created_at);

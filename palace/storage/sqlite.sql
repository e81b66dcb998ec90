-- name: get_document
-- One document that the account may read: its own, or a stock object (owner 0).
SELECT kind, id, owner, revision, created_at, updated_at, body, secrets
FROM documents
WHERE kind = :kind AND id = :id AND owner IN (0, :account);

-- name: read_body
-- Only the JSON of one document that the account may read: the whole work of a GET.
SELECT body FROM documents WHERE kind = :kind AND id = :id AND owner IN (0, :account);

-- name: insert_document
-- A new document; the UNIQUE constraint refuses an id that exists.
INSERT INTO documents (kind, id, owner, revision, created_at, updated_at, body, secrets)
VALUES (:kind, :id, :owner, :revision, :created_at, :updated_at, :body, :secrets);

-- name: replace_document
-- The next revision, guarded by the one it started from: changes no row when another write came first.
UPDATE documents
SET revision = revision + 1, updated_at = :updated_at, body = :body, secrets = :secrets
WHERE kind = :kind AND id = :id AND revision = :revision;

-- name: delete_document
-- Guarded like replace_document.
DELETE FROM documents WHERE kind = :kind AND id = :id AND revision = :revision;

-- name: page_oldest_first
-- Stock objects and the account's own, merged in the order of creation; each half walks its index.
SELECT body FROM (
    SELECT seq, body FROM documents WHERE kind = :kind AND owner = :stock
    UNION ALL
    SELECT seq, body FROM documents WHERE kind = :kind AND owner = :account
) ORDER BY seq LIMIT :limit OFFSET :offset;

-- name: page_newest_first
-- The same, backwards.
SELECT body FROM (
    SELECT seq, body FROM documents WHERE kind = :kind AND owner = :stock
    UNION ALL
    SELECT seq, body FROM documents WHERE kind = :kind AND owner = :account
) ORDER BY seq DESC LIMIT :limit OFFSET :offset;

-- name: count_documents
-- How many objects the list has; read from the index alone.
SELECT count(*) FROM documents WHERE kind = :kind AND owner IN (:stock, :account);

-- name: claim_name
-- Takes a name; the primary key refuses one that is taken.
INSERT INTO claims (scope, name, kind, id) VALUES (:scope, :name, :kind, :id);

-- name: release_name
-- Gives a name back, if this object holds it.
DELETE FROM claims WHERE scope = :scope AND name = :name AND kind = :kind AND id = :id;

-- name: release_all_names
-- Gives back every name that an object holds, before it is deleted.
DELETE FROM claims WHERE kind = :kind AND id = :id;

-- name: is_claimed
-- Whether anybody holds the name.
SELECT 1 FROM claims WHERE scope = :scope AND name = :name;

-- name: find_key
-- The key with this SHA-256, revoked or not.
SELECT key_id, digest, account, revoked_at FROM keys WHERE digest = :digest;

-- name: list_keys
-- Every key with the name of its account, oldest first.
SELECT key_id, digest, keys.account, accounts.name, label, hint, keys.created_at, revoked_at
FROM keys JOIN accounts ON accounts.account = keys.account
ORDER BY keys.created_at, key_id;

-- name: insert_key
-- A new key.
INSERT INTO keys (key_id, digest, account, label, hint, created_at)
VALUES (:key_id, :digest, :account, :label, :hint, :created_at);

-- name: revoke_key
-- Ends a key; one that is revoked already keeps its first date.
UPDATE keys SET revoked_at = :revoked_at WHERE key_id = :key_id AND revoked_at IS NULL;

-- name: find_account
-- The number of the account with this name.
SELECT account FROM accounts WHERE name = :name;

-- name: insert_account
-- A new account; its number is the next one.
INSERT INTO accounts (name, created_at) VALUES (:name, :created_at) RETURNING account;

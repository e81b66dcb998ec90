-- name: get_document
-- One document that the account may read: its own, or a stock object (owner 0).
SELECT kind, id, owner, revision, created_at, updated_at, body, secrets, etag, base, seq
FROM documents
WHERE kind = :kind AND id = :id AND owner IN (0, :account) AND deleted_at IS NULL;

-- name: get_document_with_deleted
-- The same, also when the account has deleted it and it can still be restored; and when it was deleted.
SELECT kind, id, owner, revision, created_at, updated_at, body, secrets, etag, base, seq, deleted_at
FROM documents
WHERE kind = :kind AND id = :id AND owner IN (0, :account);

-- name: read_document
-- Only what is shown of one document that the account may read: the whole work of a GET.
SELECT body, etag, revision FROM documents
WHERE kind = :kind AND id = :id AND owner IN (0, :account) AND deleted_at IS NULL;

-- name: insert_document
-- A new document; nothing is stored and no row comes back when the id exists.
INSERT INTO documents (kind, id, owner, revision, base, etag, created_at, updated_at, secrets, body)
VALUES (:kind, :id, :owner, :revision, :base, :etag, :created_at, :updated_at, :secrets, :body)
ON CONFLICT DO NOTHING RETURNING seq;

-- name: replace_document
-- The next revision, guarded by the one it started from: changes no row when another write came first.
UPDATE documents
SET revision = revision + 1, updated_at = :updated_at, body = :body, secrets = :secrets, etag = :etag, base = :base,
    deleted_at = NULL
WHERE seq = :seq AND revision = :revision;

-- name: mark_document_deleted
-- Guarded like replace_document. The row stays until delete_old_documents takes it away.
UPDATE documents SET revision = revision + 1, base = :base, deleted_at = :deleted_at
WHERE seq = :seq AND revision = :revision;

-- name: delete_document
-- Guarded like replace_document. Revisions and secrets go with it.
DELETE FROM documents WHERE seq = :seq AND revision = :revision;

-- name: delete_old_documents
-- The first documents that were deleted before a time, and all that is remembered of them.
DELETE FROM documents
WHERE seq IN (SELECT seq FROM documents WHERE deleted_at < :before ORDER BY deleted_at LIMIT :most)
RETURNING kind, id, owner, revision;

-- name: page_oldest_first
-- Stock objects and the account's own, merged in the order of creation; each half walks its index, and only the page
-- itself is read.
SELECT body FROM documents WHERE seq IN (
    SELECT seq FROM documents WHERE kind = :kind AND owner = :stock AND deleted_at IS NULL
    UNION ALL
    SELECT seq FROM documents WHERE kind = :kind AND owner = :account AND deleted_at IS NULL
    ORDER BY seq LIMIT :limit OFFSET :offset
) ORDER BY seq;

-- name: page_newest_first
-- The same, backwards.
SELECT body FROM documents WHERE seq IN (
    SELECT seq FROM documents WHERE kind = :kind AND owner = :stock AND deleted_at IS NULL
    UNION ALL
    SELECT seq FROM documents WHERE kind = :kind AND owner = :account AND deleted_at IS NULL
    ORDER BY seq DESC LIMIT :limit OFFSET :offset
) ORDER BY seq DESC;

-- name: count_documents
-- How many objects the list has, as triggers keep it.
SELECT coalesce(sum(documents), 0) FROM document_counts WHERE kind = :kind AND owner IN (:stock, :account);

-- name: search_documents
-- What a list asks for: a part of the name or the whole id, ids, and one of the values of each label.
SELECT body FROM documents
LEFT JOIN labels AS name ON name.document = documents.seq AND name.label = 'name'
WHERE kind = :kind AND owner IN (:stock, :account) AND deleted_at IS NULL
  AND (:search = '' OR id = :search OR instr(name.folded, :folded) > 0)
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM labels
          WHERE document = documents.seq AND label = wanted.key
            AND folded IN (SELECT value FROM json_each(wanted.value))))
ORDER BY CASE WHEN :stock_first THEN owner <> 0 END,
         CASE WHEN :order = 'name' THEN name.folded END,
         CASE WHEN :order = 'name_backwards' THEN name.folded END DESC,
         CASE WHEN :order = 'newest' THEN -seq ELSE seq END
LIMIT :limit OFFSET :offset;

-- name: count_found_documents
-- How many objects that list has.
SELECT count(*) FROM documents
LEFT JOIN labels AS name ON name.document = documents.seq AND name.label = 'name'
WHERE kind = :kind AND owner IN (:stock, :account) AND deleted_at IS NULL
  AND (:search = '' OR id = :search OR instr(name.folded, :folded) > 0)
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM labels
          WHERE document = documents.seq AND label = wanted.key
            AND folded IN (SELECT value FROM json_each(wanted.value))));

-- name: values_of_label
-- The different values of a label among an account's documents, in order.
SELECT DISTINCT value FROM labels JOIN documents ON documents.seq = labels.document
WHERE kind = :kind AND owner = :account AND deleted_at IS NULL AND label = :label
  AND instr(folded, :folded) > 0
ORDER BY value LIMIT :limit OFFSET :offset;

-- name: count_values_of_label
-- How many different values there are.
SELECT count(DISTINCT value) FROM labels JOIN documents ON documents.seq = labels.document
WHERE kind = :kind AND owner = :account AND deleted_at IS NULL AND label = :label
  AND instr(folded, :folded) > 0;

-- name: document_exists
-- Whether the account may read such an object.
SELECT 1 FROM documents WHERE kind = :kind AND id = :id AND owner IN (0, :account) AND deleted_at IS NULL;

-- name: insert_use
-- A document refers to an object, at a place.
INSERT INTO uses (document, pointer, kind, id) VALUES (:document, :pointer, :kind, :id)
ON CONFLICT (document, pointer) DO UPDATE SET kind = excluded.kind, id = excluded.id;

-- name: delete_use
-- A document refers to nothing at a place any more.
DELETE FROM uses WHERE document = :document AND pointer = :pointer;

-- name: users_of_object
-- Who refers to an object, and where.
SELECT documents.kind, documents.id, (SELECT value FROM labels WHERE document = seq AND label = 'name'), pointer
FROM uses JOIN documents ON documents.seq = uses.document
WHERE uses.kind = :kind AND uses.id = :id AND owner = :account AND deleted_at IS NULL
ORDER BY seq, pointer;

-- name: insert_label
-- Lists find a document by this.
INSERT INTO labels (document, label, value, folded) VALUES (:document, :label, :value, :folded) ON CONFLICT DO NOTHING;

-- name: delete_label
-- Lists do not find a document by this any more.
DELETE FROM labels WHERE document = :document AND label = :label AND value = :value;

-- name: claim_name
-- Takes a name; changes no row when it is taken.
INSERT INTO claims (scope, name, kind, id) VALUES (:scope, :name, :kind, :id) ON CONFLICT DO NOTHING;

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
-- A new key; changes no row when it exists.
INSERT INTO keys (key_id, digest, account, label, hint, created_at)
VALUES (:key_id, :digest, :account, :label, :hint, :created_at) ON CONFLICT DO NOTHING;

-- name: revoke_key
-- Ends a key; one that is revoked already keeps its first date.
UPDATE keys SET revoked_at = :revoked_at WHERE key_id = :key_id AND revoked_at IS NULL RETURNING account;

-- name: find_account
-- The number of the account with this name.
SELECT account FROM accounts WHERE name = :name;

-- name: insert_account
-- A new account; its number is the next one. No row comes back when the name exists.
INSERT INTO accounts (name, created_at) VALUES (:name, :created_at) ON CONFLICT DO NOTHING RETURNING account;

-- name: insert_revision
-- One change of a document; the primary key refuses a number that exists.
INSERT INTO revisions (document, number, base, created_at, action, etag, key_id, request_id, comment, touched, about,
                       secrets, content)
VALUES (:document, :number, :base, :created_at, :action, :etag, :key_id, :request_id, :comment, :touched, :about,
        :secrets, :content);

-- name: page_of_revisions
-- The newest revisions of a document before a number.
SELECT document, number, base, created_at, action, etag, key_id, request_id, comment, touched, about, secrets, content
FROM revisions
WHERE document = :document AND number < :before
ORDER BY number DESC LIMIT :limit;

-- name: chain_of_revision
-- What a revision is made of: the whole document that it builds on, and every patch from there to it.
SELECT document, number, base, created_at, action, etag, key_id, request_id, comment, touched, about, secrets, content
FROM revisions
WHERE document = :document AND number <= :number
  AND number >= (SELECT base FROM revisions WHERE document = :document AND number = :number)
ORDER BY number;

-- name: last_revisions_that_touched
-- For every place that a revision of a document touched, the last one that did, and when.
SELECT place.value, max(number), created_at
FROM revisions, json_each(CAST(touched AS TEXT)) AS place
WHERE document = :document AND place.value <> ''
GROUP BY place.value;

-- name: revisions_without_places
-- Those that do not tell which members they touched, newest first, each with the number of the one before.
SELECT number, created_at,
       (SELECT max(number) FROM revisions AS earlier
        WHERE earlier.document = revisions.document AND earlier.number < revisions.number)
FROM revisions
WHERE document = :document AND (CAST(touched AS TEXT) = '[""]' OR action = 'baseline')
ORDER BY number DESC;

-- name: newest_revision_with_etag
-- The last time that the document said what this tag stands for.
SELECT number FROM revisions WHERE document = :document AND etag = :etag ORDER BY number DESC LIMIT 1;

-- name: insert_secret
-- A sealed secret of a document.
INSERT INTO secrets (secret, document, place, sealed) VALUES (:secret, :document, :place, :sealed);

-- name: get_secret
-- A sealed secret by its id.
SELECT sealed FROM secrets WHERE secret = :secret;

-- name: some_secret
-- Any one sealed secret with its place.
SELECT place, sealed FROM secrets LIMIT 1;

-- name: all_secrets
-- Every sealed secret with its place.
SELECT secret, place, sealed FROM secrets;

-- name: replace_secret
-- The same secret, sealed anew.
UPDATE secrets SET sealed = :sealed WHERE secret = :secret;

-- name: find_answer
-- The first answer under an idempotency key, if it is young enough.
SELECT fingerprint, status, headers, body, is_spelled
FROM answers
WHERE account = :account AND key = :key AND created_at >= :since;

-- name: insert_answer
-- The first answer under a key; one that is too old makes way, and changes no row where there is one that is not.
INSERT INTO answers (account, key, created_at, fingerprint, status, headers, body, is_spelled)
VALUES (:account, :key, :created_at, :fingerprint, :status, :headers, :body, :is_spelled)
ON CONFLICT (account, key) DO UPDATE
SET created_at = excluded.created_at, fingerprint = excluded.fingerprint, status = excluded.status,
    headers = excluded.headers, body = excluded.body, is_spelled = excluded.is_spelled
WHERE answers.created_at < :since;

-- name: delete_old_answers
-- The first answers that are no longer replayed.
DELETE FROM answers
WHERE rowid IN (SELECT rowid FROM answers WHERE created_at < :before ORDER BY created_at LIMIT :most);

-- name: get_server_secret
-- A sealed secret of the server's own.
SELECT sealed FROM server_secrets WHERE name = :name;

-- name: all_server_secrets
-- Every one of them.
SELECT name, sealed FROM server_secrets;

-- name: add_server_secret
-- A new one; changes no row when there is one already.
INSERT INTO server_secrets (name, sealed) VALUES (:name, :sealed) ON CONFLICT DO NOTHING;

-- name: put_server_secret
-- A new one, or the same one sealed anew.
INSERT INTO server_secrets (name, sealed) VALUES (:name, :sealed)
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed;

-- name: end_of_audit
-- Of the one chain that is written here: its number, that of its last row, and the tag of its head; an empty tag, which
-- fits no row, where the head was taken away.
SELECT 0, max(coalesce(head.seq, 0), coalesce((SELECT max(seq) FROM audit WHERE chain = 0), 0)), coalesce(tag, x'')
FROM (SELECT 1) LEFT JOIN audit_heads AS head ON head.chain = 0;

-- name: insert_audit
-- The next row of a chain.
INSERT INTO audit (chain, seq, at, account, key_id, action, kind, id, revision, request_id, mac)
VALUES (:chain, :seq, :at, :account, :key_id, :action, :kind, :id, :revision, :request_id, :mac);

-- name: hold_first_chain
-- Nobody else writes to it meanwhile.
SELECT seq FROM audit_heads WHERE chain = 0;

-- name: audit_chains
-- The chains of which there are rows: from the first row of one to that of the next, as reading all takes long.
WITH RECURSIVE found (chain) AS (
    SELECT min(chain) FROM audit
    UNION ALL
    SELECT (SELECT min(audit.chain) FROM audit WHERE audit.chain > found.chain) FROM found WHERE chain IS NOT NULL)
SELECT chain FROM found WHERE chain IS NOT NULL ORDER BY chain;

-- name: audit_heads
-- The heads as they are.
SELECT seq, tag, chain FROM audit_heads ORDER BY chain;

-- name: add_audit_head
-- A chain begins; changes no row when it has begun already.
INSERT INTO audit_heads (chain, seq, tag) VALUES (:chain, :seq, :tag) ON CONFLICT DO NOTHING;

-- name: put_audit_head
-- A chain ends here.
INSERT INTO audit_heads (chain, seq, tag) VALUES (:chain, :seq, :tag)
ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, tag = excluded.tag;

-- name: audit_rows
-- A chain from a row on, in order. Texts as bytes: somebody may have put there what is no UTF-8.
SELECT chain, seq, CAST(at AS BLOB), account, CAST(key_id AS BLOB), CAST(action AS BLOB), CAST(kind AS BLOB),
       CAST(id AS BLOB), revision, CAST(request_id AS BLOB), mac
FROM audit WHERE chain = :chain AND seq >= :first ORDER BY seq LIMIT :most;

-- name: account_names
-- The name of every account.
SELECT account, name FROM accounts;

-- name: open_draft
-- The draft of a document that waits to be published: one look into a small index.
SELECT document, number, state, base_revision, key_id, created_at, updated_at, etag, base_secrets, secrets, base, body
FROM drafts
WHERE document = :document AND state = 'open';

-- name: get_draft
-- A draft of a document, in whatever state.
SELECT document, number, state, base_revision, key_id, created_at, updated_at, etag, base_secrets, secrets, base, body
FROM drafts
WHERE document = :document AND number = :number;

-- name: page_of_drafts
-- The newest drafts of a document before a number.
SELECT document, number, state, base_revision, key_id, created_at, updated_at, etag, base_secrets, secrets, base, body
FROM drafts
WHERE document = :document AND number < :before
ORDER BY number DESC LIMIT :limit;

-- name: put_draft
-- A draft as it is now, new or not; changes no row when it is open and another one is, too.
INSERT INTO drafts (document, number, state, base_revision, key_id, created_at, updated_at, etag, base_secrets, secrets,
                    base, body)
SELECT :document, :number, :state, :base_revision, :key_id, :created_at, :updated_at, :etag, :base_secrets, :secrets,
       :base, :body
WHERE :state <> 'open'
   OR NOT EXISTS (SELECT 1 FROM drafts WHERE document = :document AND state = 'open' AND number <> :number)
ON CONFLICT (document, number) DO UPDATE
SET state = excluded.state, base_revision = excluded.base_revision, key_id = excluded.key_id,
    updated_at = excluded.updated_at, etag = excluded.etag, base_secrets = excluded.base_secrets,
    secrets = excluded.secrets, base = excluded.base, body = excluded.body;

-- name: insert_job
-- Work to be done for a document.
INSERT INTO jobs (job, kind, document, state, attempts, due_at, input)
VALUES (:job, :kind, :document, 'waiting', 0, :due_at, :input);

-- name: due_jobs
-- The jobs of these kinds, or of all others, whose time has come, oldest first, with the objects they are for; so few of
-- each account that, with those at work, no account has more than its share.
SELECT job, kind, attempts, input, document, object_kind, id, owner
FROM (
    SELECT job, jobs.kind, attempts, input, document, documents.kind AS object_kind, id, owner, due_at,
           row_number() OVER (PARTITION BY owner ORDER BY due_at, job) AS place
    FROM jobs JOIN documents ON documents.seq = jobs.document
    WHERE state = 'waiting' AND due_at <= :now AND deleted_at IS NULL
      AND (jobs.kind IN (SELECT value FROM json_each(:kinds))) = :are_these
) AS due
WHERE place + (
    SELECT count(*) FROM jobs JOIN documents ON documents.seq = jobs.document
    WHERE state = 'running' AND documents.owner = due.owner
      AND (jobs.kind IN (SELECT value FROM json_each(:kinds))) = :are_these
) <= :share
ORDER BY due_at, job LIMIT :most;

-- name: count_waiting_jobs
-- How many jobs nobody works at that are to be done; while its document is deleted, a job is not.
SELECT count(*) FROM jobs JOIN documents ON documents.seq = jobs.document
WHERE state = 'waiting' AND deleted_at IS NULL;

-- name: start_job
-- It is being worked at until some time, which counts as an attempt whatever comes of it. Changes no row when somebody
-- else was faster, even if that attempt has failed by now.
UPDATE jobs SET state = 'running', attempts = attempts + 1, leased_until = :until
WHERE job = :job AND attempts = :attempts AND state = 'waiting';

-- name: extend_job
-- It is being worked at for longer.
UPDATE jobs SET leased_until = :until WHERE job = :job AND attempts = :attempts AND state = 'running';

-- name: held_job
-- Whether this attempt is still the one that counts.
SELECT 1 FROM jobs WHERE job = :job AND attempts = :attempts AND state = 'running';

-- name: put_job
-- What became of an attempt.
UPDATE jobs SET state = :state, attempts = :attempts, due_at = :due_at WHERE job = :job;

-- name: recover_jobs
-- Nobody works at them any more.
UPDATE jobs SET state = 'waiting' WHERE state = 'running' AND leased_until < :now;

-- name: insert_file
-- A file that goes with its document.
INSERT INTO files (name, document, created_at, media_type, body)
VALUES (:name, :document, :created_at, :media_type, :body);

-- name: get_file
-- A file, unless its document is deleted.
SELECT media_type, files.body FROM files JOIN documents ON documents.seq = files.document
WHERE name = :name AND deleted_at IS NULL;

-- name: insert_conversation
-- A conversation begins.
INSERT INTO conversations (document, number, wake_at, state, script, given)
VALUES (:document, 0, :wake_at, :state, :script, :given);

-- name: get_conversation
-- How far a conversation has come, and what it was given.
SELECT number, state, script, given FROM conversations WHERE document = :document;

-- name: find_conversation
-- A conversation by its id alone, whoever owns it.
SELECT seq, id, owner FROM documents WHERE kind = 'conversation' AND id = :id AND deleted_at IS NULL;

-- name: moved_conversations
-- Of documents, each with a number of steps, those of conversations that are not at that step any more, or gone.
SELECT known.value ->> 0 FROM json_each(:known) AS known
LEFT JOIN conversations ON conversations.document = known.value ->> 0
WHERE conversations.number IS NOT known.value ->> 1;

-- name: put_conversation
-- One step further. Changes no row when another server was faster, or when the conversation is gone.
UPDATE conversations SET number = :number + 1, wake_at = :wake_at, state = :state
WHERE document = :document AND number = :number;

-- name: insert_logged
-- Something that happened in a step.
INSERT INTO conversation_log (document, step, place, kind, seq, body)
VALUES (:document, :step, :place, :kind, :seq, :body);

-- name: logged
-- What happened of one kind, after some app message, in order.
SELECT kind, seq, body FROM conversation_log
WHERE document = :document AND kind = :kind AND seq > :after ORDER BY step, place LIMIT :most;

-- name: due_conversations
-- Conversations in which something is to happen by itself by now. One whose document is deleted waits until that is gone
-- for good, or restored.
SELECT document, id, owner FROM conversations JOIN documents ON documents.seq = conversations.document
WHERE wake_at <= :now AND deleted_at IS NULL ORDER BY wake_at LIMIT :most;

-- name: count_active_conversations
-- How many conversations of an account go on.
SELECT count(*) FROM conversations JOIN documents ON documents.seq = conversations.document
WHERE wake_at IS NOT NULL AND owner = :owner AND deleted_at IS NULL;

-- name: page_of_log
-- What happened of one kind, after a place in the log, in order.
SELECT step, place, body FROM conversation_log
WHERE document = :document AND kind = :kind AND (step, place) > (:step, :place) ORDER BY step, place LIMIT :most;

-- name: insert_turn
-- How long the parts of a turn took.
INSERT INTO conversation_turns (document, turn, account, pal, revision, at, context_built_us, first_token_us,
                                first_sentence_us, last_token_us, tools_us, delivered_us)
VALUES (:document, :turn, :account, :pal, :revision, :at, :context_built_us, :first_token_us,
        :first_sentence_us, :last_token_us, :tools_us, :delivered_us);

-- name: turns_of_pal
-- The newest turns of a PAL in an account's conversations, from a time on.
SELECT revision, context_built_us, first_token_us, first_sentence_us, last_token_us, tools_us, delivered_us
FROM conversation_turns
WHERE account = :account AND pal = :pal AND at >= :since ORDER BY at DESC LIMIT :most;

-- name: insert_word
-- A word that a conversation is found by.
INSERT INTO conversation_words (document, word, account) VALUES (:document, :word, :account) ON CONFLICT DO NOTHING;

-- name: search_conversations
-- Conversations in which a word begins with `word`, and one with each of the others; of those with the first word only so
-- many are looked at. `last` is behind every character.
SELECT body FROM documents
WHERE seq IN (
    SELECT document FROM conversation_words
    WHERE account = :account AND word >= :word AND word < :word || :last
    ORDER BY word DESC, document DESC LIMIT :most)
  AND owner = :account AND deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:others) AS other
      WHERE NOT EXISTS (
          SELECT 1 FROM conversation_words AS words
          WHERE words.document = documents.seq AND words.word >= other.value
            AND words.word < other.value || :last))
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM labels
          WHERE document = documents.seq AND label = wanted.key
            AND folded IN (SELECT value FROM json_each(wanted.value))))
ORDER BY CASE WHEN :order = 'newest' THEN -seq ELSE seq END LIMIT :limit OFFSET :offset;

-- name: count_found_conversations
-- How many that list has.
SELECT count(*) FROM documents
WHERE seq IN (
    SELECT document FROM conversation_words
    WHERE account = :account AND word >= :word AND word < :word || :last
    ORDER BY word DESC, document DESC LIMIT :most)
  AND owner = :account AND deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:others) AS other
      WHERE NOT EXISTS (
          SELECT 1 FROM conversation_words AS words
          WHERE words.document = documents.seq AND words.word >= other.value
            AND words.word < other.value || :last))
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM labels
          WHERE document = documents.seq AND label = wanted.key
            AND folded IN (SELECT value FROM json_each(wanted.value))));

-- name: count_conversations_going_on
-- How many conversations of all accounts go on.
SELECT count(*) FROM conversations WHERE wake_at IS NOT NULL;

-- name: delete_old_conversations
-- The first conversations that were over before a time, and all that is remembered of them.
DELETE FROM documents
WHERE seq IN (
    SELECT seq FROM documents
    WHERE kind = 'conversation' AND updated_at < :before
      AND NOT EXISTS (SELECT 1 FROM conversations WHERE document = documents.seq AND wake_at IS NOT NULL)
    ORDER BY updated_at LIMIT :most)
RETURNING kind, id, owner, revision;

-- name: insert_delivery
-- A callback, written with what it tells. It waits no shorter than the one that stands first in its lane.
INSERT INTO deliveries (id, account, document, lane, url, event_type, state, attempts, tries, created_at, asked_at,
                        due_at, body)
SELECT :id, :account, :document, :lane, :url, :event_type, 'waiting', 0, 0, :now, :now,
       coalesce((SELECT max(due_at) FROM deliveries
                 WHERE lane = :lane AND state = 'waiting' AND due_at > :now), :now), :body;

-- name: due_deliveries
-- The callbacks whose time has come, that stand first in their lanes and that nobody sends; so few of each account that,
-- with those being sent, no account has more than its share.
SELECT seq, id, account, lane, url, body, attempts, tries, asked_at
FROM (
    SELECT seq, id, account, lane, url, body, attempts, tries, asked_at, due_at,
           row_number() OVER (PARTITION BY account ORDER BY due_at, seq) AS place
    FROM deliveries
    WHERE state = 'waiting' AND due_at <= :now AND leased_until < :now
      AND NOT EXISTS (
          SELECT 1 FROM deliveries AS older
          WHERE older.lane = deliveries.lane AND older.state = 'waiting' AND older.seq < deliveries.seq)
) AS due
WHERE place + (
    SELECT count(*) FROM deliveries AS sending
    WHERE sending.state = 'waiting' AND sending.due_at <= :now AND sending.leased_until >= :now
      AND sending.account = due.account
) <= :share
ORDER BY due_at, seq LIMIT :most;

-- name: start_delivery
-- It is being sent, for so long at most. Changes no row when somebody else was faster, even if that attempt has failed by
-- now.
UPDATE deliveries SET attempts = attempts + 1, tries = tries + 1, leased_until = :until
WHERE seq = :seq AND id = :id AND attempts = :attempts AND state = 'waiting' AND leased_until < :now;

-- name: tries_of_delivery
-- What an attempt counts for, if it is still the one that counts.
SELECT tries, asked_at FROM deliveries
WHERE seq = :seq AND id = :id AND attempts = :attempts AND state = 'waiting';

-- name: settle_delivery
-- What became of an attempt, if it is still the one that counts.
UPDATE deliveries
SET state = :state, due_at = :due_at, leased_until = '', last_status = :last_status, last_problem = :last_problem,
    delivered_at = :delivered_at
WHERE seq = :seq AND id = :id AND attempts = :attempts AND state = 'waiting';

-- name: let_go_delivery
-- An attempt was broken off before it came to anything, and is no try; nor was it one if it was asked for again since.
UPDATE deliveries SET tries = max(tries - 1, 0), leased_until = ''
WHERE seq = :seq AND id = :id AND attempts = :attempts AND state = 'waiting';

-- name: hold_lane
-- Whoever stands behind one that failed waits with it.
UPDATE deliveries SET due_at = :due_at WHERE lane = :lane AND state = 'waiting' AND due_at < :due_at;

-- name: pass_lane
-- Whoever stood behind one that is done or was given up waits no longer.
UPDATE deliveries SET due_at = :due_at WHERE lane = :lane AND state = 'waiting' AND due_at > :due_at;

-- name: free_deliveries
-- Nobody sends them any more.
UPDATE deliveries SET leased_until = '' WHERE state = 'waiting' AND leased_until <> '';

-- name: insert_delivery_attempt
-- What was sent when, and what came back.
INSERT INTO delivery_attempts (delivery, attempt, at, ms, status, problem, answer)
VALUES (:delivery, :attempt, :at, :ms, :status, :problem, :answer);

-- name: attempts_of_delivery
-- The newest attempts, newest first.
SELECT attempt, at, ms, status, problem, answer FROM delivery_attempts
WHERE delivery = :delivery ORDER BY attempt DESC LIMIT :most;

-- name: get_delivery
-- One callback of an account, with the object that it tells of.
SELECT deliveries.seq, deliveries.id, documents.kind, documents.id, lane, url, event_type, state, attempts,
       deliveries.created_at, due_at, last_status, last_problem, delivered_at, deliveries.body
FROM deliveries LEFT JOIN documents ON documents.seq = deliveries.document
WHERE deliveries.id = :id AND account = :account;

-- name: page_of_deliveries
-- The newest callbacks of an account; of those in one state, and of one conversation, where that is asked for. Without
-- what is sent: that may be long.
SELECT deliveries.seq, deliveries.id, documents.kind, documents.id, lane, url, event_type, state, attempts,
       deliveries.created_at, due_at, last_status, last_problem, delivered_at, x''
FROM deliveries LEFT JOIN documents ON documents.seq = deliveries.document
WHERE account = :account AND (:state = '' OR state = :state)
  AND (:conversation = '' OR (documents.kind = 'conversation' AND documents.id = :conversation))
ORDER BY deliveries.seq DESC LIMIT :limit OFFSET :offset;

-- name: count_deliveries
-- How many that list has.
SELECT count(*) FROM deliveries LEFT JOIN documents ON documents.seq = deliveries.document
WHERE account = :account AND (:state = '' OR state = :state)
  AND (:conversation = '' OR (documents.kind = 'conversation' AND documents.id = :conversation));

-- name: ask_again_for_delivery
-- It is sent once more, from the first step of the schedule on. One that was settled stands in a lane of its own then, in
-- nobody's way.
UPDATE deliveries
SET lane = CASE WHEN state = 'waiting' THEN lane ELSE id END, state = 'waiting', tries = 0, asked_at = :now,
    due_at = :now
WHERE seq = :seq;

-- name: count_waiting_deliveries
-- How many callbacks have not arrived and will be tried.
SELECT count(*) FROM deliveries WHERE state = 'waiting';

-- name: delete_old_deliveries
-- The first settled callbacks from before a time, with their attempts.
DELETE FROM deliveries
WHERE seq IN (
    SELECT seq FROM deliveries WHERE created_at < :before AND state <> 'waiting' ORDER BY created_at LIMIT :most);

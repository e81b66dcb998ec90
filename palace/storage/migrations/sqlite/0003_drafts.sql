-- Changes of a document that wait to be published. `body` is the document with them, `base` the live one without;
-- `secrets` and `base_secrets` are what they show as masks. A draft that was discarded or published is kept.
CREATE TABLE drafts (
    document      INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('open', 'discarded', 'published')),
    base_revision INTEGER NOT NULL,
    key_id        TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    etag          TEXT NOT NULL,
    base_secrets  BLOB,
    secrets       BLOB,
    base          BLOB NOT NULL,
    body          BLOB NOT NULL,
    PRIMARY KEY (document, number)
) STRICT;

-- At most one is open; every write of a document with drafts looks here.
CREATE UNIQUE INDEX open_draft_of_document ON drafts (document) WHERE state = 'open';

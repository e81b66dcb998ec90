-- Work that outlives a request, and what came of it besides the document.

-- A job is carried out at least once. `input` is JSON. It waits while its document is deleted, and goes with it for good.
CREATE TABLE jobs (
    job      INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    document INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL,
    due_at   TEXT NOT NULL,
    input    BLOB NOT NULL
) STRICT;

CREATE INDEX jobs_waiting ON jobs (due_at) WHERE state = 'waiting';
CREATE INDEX jobs_running ON jobs (document) WHERE state = 'running';
CREATE INDEX jobs_of_document ON jobs (document);

-- Everybody who knows the name may read a file. The wide column stands last.
CREATE TABLE files (
    name       TEXT PRIMARY KEY,
    document   INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    media_type TEXT NOT NULL,
    body       BLOB NOT NULL
) STRICT;

CREATE INDEX files_of_document ON files (document);

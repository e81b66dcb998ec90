-- What documents refer to, and what lists find them by. Both follow from the documents and are written with them.

-- `kind` and `id` name what is used, `pointer` the place where the id stands.
CREATE TABLE uses (
    document INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    pointer  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    PRIMARY KEY (document, pointer)
) STRICT, WITHOUT ROWID;

CREATE INDEX uses_of_object ON uses (kind, id);

CREATE TABLE labels (
    document INTEGER NOT NULL REFERENCES documents (seq) ON DELETE CASCADE,
    label    TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (document, label, value)
) STRICT, WITHOUT ROWID;

-- Until now there were PALs and faces, and a PAL could name no other object that existed.
INSERT INTO uses (document, pointer, kind, id)
SELECT seq, '/default_face_id', 'face', CAST(body AS TEXT) ->> '$.default_face_id'
FROM documents
WHERE kind = 'pal' AND CAST(body AS TEXT) ->> '$.default_face_id' <> '';

INSERT INTO labels (document, label, value)
SELECT seq, 'name', substr(CAST(body AS TEXT) ->> ('$.' || kind || '_name'), 1, 1000)
FROM documents
WHERE CAST(body AS TEXT) ->> ('$.' || kind || '_name') IS NOT NULL;

INSERT INTO labels (document, label, value)
SELECT seq, 'model', CAST(body AS TEXT) ->> '$.model_name'
FROM documents
WHERE kind = 'face' AND CAST(body AS TEXT) ->> '$.model_name' IS NOT NULL;

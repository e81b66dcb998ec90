"""A database of the first version of the server opens with this one, and nothing in it is lost."""

import asyncio
import json
import re
import sqlite3
from base64 import b64decode
from contextlib import closing

import apsw
import pytest

from palace.etags import content_etag
from palace.storage import Listing, Record, SqliteStore, StorageFailure
from palace.storage.migrate import migrations
from tests.generic.stored import check_indexes
from tests.inside import inside
from tests.serving import STOCK_FACE
from tests.storage.first_schema import MINE, ROWS, YOURS, pal, text, write_first_schema

DATABASE = "palace.db"


@pytest.fixture
def folder(tmp_path):
    write_first_schema(tmp_path / "data")
    return tmp_path / "data"


def opened(folder):
    """The file, brought up to date by the store and closed again, for plain SQL."""
    asyncio.run(SqliteStore(folder / DATABASE).close())
    return closing(sqlite3.connect(folder / DATABASE))


def rows(file, query, *values):
    return file.execute(query, values).fetchall()


def test_every_document_is_there_unchanged_under_its_number_with_its_revision_and_its_tag(folder):
    with opened(folder) as file:
        found = rows(file, "SELECT seq, owner, revision, body FROM documents ORDER BY seq")
        assert found == [(seq, owner, revision, text(document)) for seq, owner, revision, document, _ in ROWS]
        for body, secrets, etag, base, revision in rows(
            file, "SELECT body, secrets, etag, base, revision FROM documents"
        ):
            assert etag == content_etag(body, secrets)
            assert base == revision
        assert rows(file, "SELECT count(*) FROM documents WHERE deleted_at IS NOT NULL") == [(0,)]


def test_the_first_remembered_revision_of_each_document_is_the_one_it_had(folder):
    with opened(folder) as file:
        columns = "document, number, base, created_at, action, etag, secrets, content"
        found = rows(file, f"SELECT {columns} FROM revisions ORDER BY document")
        documents = rows(file, "SELECT seq, revision, updated_at, etag, secrets, body FROM documents ORDER BY seq")
        assert found == [
            (seq, number, number, updated_at, "baseline", etag, secrets, body)
            for seq, number, updated_at, etag, secrets, body in documents
        ]


def test_each_secret_has_a_row_of_its_own_and_nothing_is_named_that_is_not_there(folder):
    with opened(folder) as file:
        named = {}
        for seq, kind, id, secrets in rows(file, "SELECT seq, kind, id, secrets FROM documents WHERE secrets NOT NULL"):
            for place, ref in json.loads(secrets).items():
                named[ref] = (seq, f"{kind}/{id}{place}")
        kept = {
            ref: (document, place) for ref, document, place in rows(file, "SELECT secret, document, place FROM secrets")
        }
        assert kept == named
        assert len(kept) == sum(len(secrets) for *_, secrets in ROWS)
        assert all(re.fullmatch("[0-9a-f]{20}", ref) for ref in kept)


def test_accounts_keys_and_claimed_names_are_there(folder):
    with opened(folder) as file:
        assert rows(file, "SELECT account, name FROM accounts") == [(MINE, "default"), (YOURS, "zweites Konto")]
        assert rows(file, "SELECT key_id, revoked_at IS NULL FROM keys ORDER BY key_id") == [("k1", 1), ("k2", 0)]
        assert rows(file, "SELECT name, id FROM claims") == [("night.desk", "p00000000005")]


def test_the_file_is_sound_and_its_schema_is_that_of_a_fresh_one(folder, tmp_path):
    (tmp_path / "fresh").mkdir()
    with opened(folder) as file, opened(tmp_path / "fresh") as fresh:
        assert rows(file, "PRAGMA integrity_check") == [("ok",)]
        assert rows(file, "PRAGMA foreign_key_check") == []
        assert schema(file) == schema(fresh)
        assert rows(file, "PRAGMA user_version") == rows(fresh, "PRAGMA user_version") == [(migrations()[-1][0],)]


def schema(file):
    """Every table and index with its text, whatever the space in it and the quotes around names."""
    found = rows(file, "SELECT type, name, tbl_name, sql FROM sqlite_master")
    return sorted((*names, re.sub(r"\s+", " ", (sql or "").replace('"', ""))) for *names, sql in found)


def test_references_lead_to_tables_that_exist(folder):
    with opened(folder) as file:
        tables = {name for (name,) in rows(file, "SELECT name FROM sqlite_master WHERE type = 'table'")}
        referred = {row[2] for name in tables for row in rows(file, f"PRAGMA foreign_key_list('{name}')")}
        assert referred <= tables
        file.execute("PRAGMA foreign_keys = ON")
        file.execute("DELETE FROM documents")
        assert rows(file, "SELECT count(*) FROM secrets") == rows(file, "SELECT count(*) FROM revisions") == [(0,)]


def test_opening_it_again_changes_nothing(folder):
    with opened(folder) as file:
        before = "\n".join(file.iterdump())
    with opened(folder) as file:
        assert "\n".join(file.iterdump()) == before


def test_a_migration_that_fails_leaves_the_file_as_it_was(folder):
    with closing(apsw.Connection(str(folder / DATABASE))) as file:
        file.execute("UPDATE documents SET secrets = CAST('not JSON' AS BLOB) WHERE seq = 12")
    with closing(sqlite3.connect(folder / DATABASE)) as file:
        before = "\n".join(file.iterdump())
    with pytest.raises(StorageFailure, match="cannot be opened"):
        SqliteStore(folder / DATABASE)
    with closing(sqlite3.connect(folder / DATABASE)) as file:
        assert "\n".join(file.iterdump()) == before
        assert rows(file, "PRAGMA user_version") == [(1,)]


def test_the_secrets_of_an_old_file_open(folder):
    folder.rename(folder.parent / "inside")
    with inside(folder.parent) as palace:
        for _, owner, _, document, secrets in ROWS:
            if "pal_id" in document:
                id = document["pal_id"]
                record = palace.run(palace.services.store.reading.get("pal", id, owner))
                assert palace.secrets_of(record.secrets, id) == secrets


# --- Indexes ----------------------------------------------------------------------------------------------------------


def test_the_indexes_of_an_old_file_are_those_that_its_documents_would_get_today(folder):
    with opened(folder):
        assert check_indexes(folder) == sum("pal_id" in document for *_, document, _ in ROWS)


@pytest.fixture
def fourth(folder):
    """The same folder, brought up to the fourth schema, with a deleted PAL, one without a name, and a draft."""
    with closing(apsw.Connection(str(folder / DATABASE))) as file:
        for name, function in (("content_etag", content_etag), ("from_base64", b64decode)):
            file.create_scalar_function(name, function, deterministic=True)
        for number, script in migrations()[1:4]:
            file.execute(script)
            file.pragma("user_version", number)
        columns = "kind, id, owner, revision, base, etag, created_at, updated_at, deleted_at, body"
        moment = "2026-03-01T00:00:00.000000Z"
        for id, deleted_at, members in (
            ("p00000000101", moment, {"pal_name": "Gone", "default_face_id": STOCK_FACE}),
            ("p00000000102", None, {"pal_name": None, "default_face_id": None}),
            ("p00000000103", None, {"pal_name": "", "default_face_id": ""}),
        ):
            row = ("pal", id, MINE, 1, 1, "e", moment, moment, deleted_at, text(pal(id, 1, **members)))
            file.execute(f"INSERT INTO documents ({columns}) VALUES ({','.join('?' * len(row))})", row)
    return folder


def test_a_file_of_the_fourth_schema_gets_its_indexes_and_keeps_everything_else(fourth):
    with closing(sqlite3.connect(fourth / DATABASE)) as file:
        before = {name: rows(file, f"SELECT * FROM {name}") for name in ("documents", "revisions", "secrets", "claims")}
    with opened(fourth) as file:
        assert rows(file, "PRAGMA user_version") == [(migrations()[-1][0],)]
        assert {name: rows(file, f"SELECT * FROM {name}") for name in before} == before
        check_indexes(fourth)
        deleted = "SELECT pointer, uses.id FROM uses JOIN documents ON seq = document WHERE documents.id = ?"
        assert rows(file, deleted, "p00000000101") == [("/default_face_id", STOCK_FACE)]
        assert rows(file, deleted, "p00000000102") == rows(file, deleted, "p00000000103") == []
        file.execute("PRAGMA foreign_keys = ON")
        file.execute("DELETE FROM documents")
        assert rows(file, "SELECT count(*) FROM uses") == rows(file, "SELECT count(*) FROM labels") == [(0,)]


def test_in_an_old_file_a_face_is_found_by_its_model_and_a_pal_uses_it(fourth):
    fourth.rename(fourth.parent / "inside")
    with inside(fourth.parent) as palace:
        links = palace.services.store.reading.links
        found = palace.run(links.search("face", MINE, Listing(labels={"model": ["PHOENIX-4"]})))
        assert found.total_count >= 1
        users = palace.run(links.users("face", STOCK_FACE, MINE))
        assert [user.id for user in users][:2] == ["p00000000001", "p00000000003"]
        assert "p00000000101" not in [user.id for user in users]


# --- Conversations ----------------------------------------------------------------------------------------------------


def test_a_file_of_the_seventh_schema_takes_conversations_and_keeps_everything_else(fourth):
    with closing(apsw.Connection(str(fourth / DATABASE))) as file:
        file.create_scalar_function("fold", str.casefold, deterministic=True)
        for number, script in migrations()[4:7]:
            file.execute(script)
            file.pragma("user_version", number)
    with closing(sqlite3.connect(fourth / DATABASE)) as file:
        names = [name for (name,) in rows(file, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        before = {name: rows(file, f"SELECT * FROM {name}") for name in names}
        assert "conversations" not in names
    with opened(fourth) as file:
        assert {name: rows(file, f"SELECT * FROM {name}") for name in before} == before
    fourth.rename(fourth.parent / "inside")
    with inside(fourth.parent) as palace:

        async def begin(tx):
            document = await tx.insert(Record("conversation", "c1", MINE, 1, "t", "t", b"{}"))
            await tx.conversations.add(document, None, b"state", b"script", b"given")
            await tx.conversations.add_words(document, MINE, ["night"])
            return document

        document = palace.run(palace.services.store.transact(begin))
        reading = palace.services.store.reading.conversations
        assert palace.run(reading.get(document)) == (0, b"state", b"script", b"given")
        assert palace.run(reading.search(MINE, ["ni"], 10, Listing())).total_count == 1

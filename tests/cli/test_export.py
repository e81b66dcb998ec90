"""`palace export` and `palace import`: one file, every row, and going on after `kill -9`."""

import asyncio
import gzip
import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from palace.storage.migrate import IMPORT_PROGRESS as PROGRESS
from palace.transfer.tables import TABLES
from tests.cli.filled import SECRET, contents, make_filled, run
from tests.cli.killed_import import kill_import
from tests.cli.test_backup import back_up_under_load, refused
from tests.generic.stored import check_indexes
from tests.serving import STOCK_FACE, start_palace

MASK = "*" * 8


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    make_filled(data)
    done = run("export", data.parent / "one.export", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    return data


@pytest.fixture
def exported(filled) -> Path:
    return filled.parent / "one.export"


@pytest.fixture
def folder(filled, tmp_path) -> Path:
    """A new data folder with the master key of the database that was exported."""
    made = tmp_path / "imported"
    made.mkdir(mode=0o700)
    shutil.copy(filled / "master.key", made)
    return made


def lines_of(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines(keepends=True)


# --- There and back ---------------------------------------------------------------------------------------------------


def test_every_row_of_every_table_comes_back(filled, exported, folder):
    before = contents(filled / "palace.db")
    assert all(before.values()), "there is something in every table"
    done = run("import", exported, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "compared each of them; 5 secrets open" in done.stdout
    assert contents(folder / "palace.db") == before
    assert sorted(path.name for path in folder.iterdir()) == ["master.key", "palace.db", "palace.lock"]
    assert stat.S_IMODE((folder / "palace.db").stat().st_mode) == 0o600
    assert run("audit", "verify", "--data", folder).returncode == 0
    check_indexes(folder)


def test_the_imported_database_has_the_schema_of_one_that_grew(filled, exported, folder):
    assert run("import", exported, "--data", folder).returncode == 0
    found = []
    for data in (filled, folder):
        with closing(sqlite3.connect(data / "palace.db")) as file:
            found.append(file.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall())
            found[-1] += file.execute("PRAGMA user_version").fetchall()
    assert found[0] == found[1]


def test_a_server_goes_on_where_the_other_one_stopped(filled, exported, folder):
    assert run("import", exported, "--data", folder).returncode == 0
    with start_palace(folder) as server, server.client() as client:
        pals = client.get("/v2/pals?pal_type=user&limit=100").json()["data"]
        [pal] = [one["pal_id"] for one in pals if one["pal_name"] == "Straße 19\u2028"]
        patch = [{"op": "replace", "path": "/layers/llm/api_key", "value": SECRET}]
        assert client.patch(f"/v2/pals/{pal}", json=patch).status_code == 304, "the secret is what it was"
        again = client.post("/v2/pals", json={}, headers={"idempotency-key": "key-0"})
        assert again.status_code == 422, "the key stands for the request it stood for"
        made = client.post("/v2/pals", json={"pal_name": "new", "system_prompt": "x", "default_face_id": STOCK_FACE})
        assert made.is_success, made.text
        assert client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).is_success


def test_an_export_of_the_import_is_the_same_file_but_for_its_date(exported, folder, tmp_path):
    assert run("import", exported, "--data", folder).returncode == 0
    assert run("export", tmp_path / "again.export", "--data", folder).returncode == 0
    assert lines_of(tmp_path / "again.export")[1:-1] == lines_of(exported)[1:-1]


def test_an_export_under_write_load_is_one_state(tmp_path):
    data, folder, file = tmp_path / "data", tmp_path / "imported", tmp_path / "one.export"
    with start_palace(data, PALACE_LOG_REQUESTS="false") as server:
        before, after = asyncio.run(back_up_under_load(server.url, data, file, command="export"))
    folder.mkdir()
    shutil.copy(data / "master.key", folder)
    assert run("import", file, "--data", folder).returncode == 0
    with start_palace(folder) as imported, imported.client() as client:
        for pal, number in before.items():
            found = client.get(f"/v2/pals/{pal}").json()
            assert number <= int(found["pal_name"]) <= after[pal] + 1
            newest = client.get(f"/v2/pals/{pal}/revisions?limit=1").json()["data"][0]
            assert newest["revision"] == int(found["pal_name"]) + 1
    assert run("audit", "verify", "--data", folder).returncode == 0


# --- The file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_private_and_has_lines_that_tell_what_they_are(filled, exported):
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    lines = lines_of(exported)
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert (first["format"], first["version"]) == ("palace export", 1)
    assert [table["table"] for table in first["tables"]] == [table.name for table in TABLES]
    assert {table["table"]: table["rows"] for table in first["tables"]} == {
        name: end["rows"] for name, end in last["end"].items()
    }
    text = b"".join(lines)
    assert b"sk-5f2d9c" not in text
    assert (filled / "master.key").read_text().strip().encode() not in text
    assert "Grüße aus München".encode() in text, "people can read it"


def test_a_file_that_is_there_is_replaced_only_when_told(filled, tmp_path):
    (tmp_path / "one.export").write_text("precious")
    assert "--force" in refused("export", tmp_path / "one.export", "--data", filled)
    assert (tmp_path / "one.export").read_text() == "precious"
    assert run("export", tmp_path / "one.export", "--force", "--data", filled).returncode == 0


def cut_the_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def cut_at_a_line(file: Path) -> None:
    file.write_bytes(gzip.compress(b"".join(lines_of(file)[:-1])))


def leave_a_row_out(file: Path) -> None:
    lines = lines_of(file)
    file.write_bytes(gzip.compress(b"".join(lines[:-5] + lines[-4:])))


def change_a_row(file: Path) -> None:
    file.write_bytes(gzip.compress(b"".join(lines_of(file)).replace("Grüße".encode(), b"Gruesse", 1)))


def change_a_byte(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(b"\xff\x00\xff")


def name_another_version(file: Path) -> None:
    lines = lines_of(file)
    lines[0] = lines[0].replace(b'"version":1', b'"version":2')
    file.write_bytes(gzip.compress(b"".join(lines)))


def make_it_json(file: Path) -> None:
    file.write_bytes(gzip.compress(b'{"some": "JSON"}\n'))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(cut_the_file, "cut off", id="cut off"),
        pytest.param(cut_at_a_line, "cut off", id="cut off between two lines"),
        pytest.param(leave_a_row_out, "damaged", id="a row is missing"),
        pytest.param(change_a_row, "damaged", id="a row was changed"),
        pytest.param(change_a_byte, "damaged", id="bytes were changed"),
        pytest.param(name_another_version, "not those of this version", id="of another version"),
        pytest.param(make_it_json, "no export of Palace", id="another file with lines"),
        pytest.param(lambda file: file.write_bytes(b"PK"), "no export of Palace", id="another file"),
        pytest.param(lambda file: file.write_bytes(b""), "", id="an empty file"),
        pytest.param(Path.unlink, "No such file", id="no file"),
    ],
)
def test_a_file_that_is_not_right_is_refused_before_anything_is_written(exported, folder, tmp_path, spoil, told):
    file = tmp_path / "spoilt"
    shutil.copy(exported, file)
    spoil(file)
    assert told in refused("import", file, "--data", folder)
    assert not (folder / "palace.db").exists()
    assert run("import", exported, "--data", folder).returncode == 0


# --- The target -------------------------------------------------------------------------------------------------------


def test_a_folder_with_a_database_is_refused(filled, exported):
    before = contents(filled / "palace.db")
    assert "There is a database" in refused("import", exported, "--data", filled)
    assert contents(filled / "palace.db") == before


def test_an_export_is_imported_only_under_its_own_master_key(exported, folder):
    kept = (folder / "master.key").read_text()
    (folder / "master.key").unlink()
    assert "master.key is missing" in refused("import", exported, "--data", folder)
    (folder / "master.key").write_text("2c" * 32)
    assert "is not the one that sealed the secrets" in refused("import", exported, "--data", folder)
    assert not (folder / "palace.db").exists()
    assert run("import", exported, "--data", folder, PALACE_MASTER_KEY=kept.strip()).returncode == 0


# --- Broken off -------------------------------------------------------------------------------------------------------

MORE = 6000


@pytest.fixture(scope="module")
def large(filled, tmp_path_factory) -> Path:
    """A database with some thousand more documents, and the export of it beside."""
    data = tmp_path_factory.mktemp("large") / "data"
    shutil.copytree(filled, data)
    with closing(sqlite3.connect(data / "palace.db")) as file:
        file.execute(
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MORE})"
            " INSERT INTO documents SELECT seq + 1000 + i, kind, 'more' || i, owner, revision, base, etag, created_at,"
            " updated_at, deleted_at, NULL, body FROM documents, n WHERE seq = (SELECT max(seq) FROM documents)"
        )
        file.execute(
            "INSERT INTO revisions SELECT seq, revision, revision, updated_at, 'create', etag, '', '', NULL,"
            " CAST('[]' AS BLOB), NULL, NULL, body FROM documents WHERE id LIKE 'more%'"
        ).connection.commit()
    assert run("export", data.parent / "large.export", "--data", data).returncode == 0
    return data


def rows_brought(data: Path) -> int:
    """How many rows an import that is not finished has noted down."""
    with closing(sqlite3.connect(data / "palace.db.importing")) as file:
        return file.execute(f"SELECT rows FROM {PROGRESS}").fetchone()[0]


def test_an_import_that_is_killed_again_and_again_goes_on_and_ends_with_every_row(large, folder):
    file, brought = large.parent / "large.export", -1
    for rows in (0, 2000, 5000, 9000):
        kill_import(rows, file, "--data", folder)
        assert not (folder / "palace.db").exists(), "no server takes it for a database"
        assert brought < rows_brought(folder) <= rows
        brought = rows_brought(folder)
    done = run("import", file, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Went on behind {brought} rows" in done.stdout
    assert contents(folder / "palace.db") == contents(large / "palace.db")


def test_another_export_does_not_go_on_where_one_was_broken_off(large, exported, folder):
    kill_import(2000, large.parent / "large.export", "--data", folder)
    assert "Another export was being imported" in refused("import", exported, "--data", folder)


def test_rows_that_somebody_else_wrote_meanwhile_are_noticed(large, folder):
    file = large.parent / "large.export"
    kill_import(2000, file, "--data", folder)
    with closing(sqlite3.connect(folder / "palace.db.importing")) as begun:
        begun.execute("INSERT INTO accounts VALUES (77, 'an intruder', '')").connection.commit()
    assert "table accounts is not what was exported" in refused("import", file, "--data", folder)
    assert not (folder / "palace.db").exists()

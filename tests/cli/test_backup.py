"""`palace backup` of a server that is being written to, and `palace restore`: what comes back is what was there."""

import asyncio
import itertools
import json
import shutil
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import apsw
import httpx
import pytest

from palace.backup import back_up
from palace.storage import StorageFailure
from palace.storage.migrate import newest_schema
from tests.cli.filled import contents, make_filled, run
from tests.generic.stored import check_indexes
from tests.serving import KEY, STOCK_FACE, start_palace
from tests.storage.first_schema import write_first_schema
from tests.waiting import until

OTHER = "2c" * 32
ONE_MORE_ACCOUNT = "INSERT INTO accounts SELECT max(account) + 1, 'Nr. ' || max(account), '' FROM accounts"


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    make_filled(data)
    assert run("backup", data.parent / "one.backup", "--data", data).returncode == 0
    return data


@pytest.fixture
def backup(filled) -> Path:
    return filled.parent / "one.backup"


@pytest.fixture
def folder(filled, tmp_path) -> Path:
    """A new data folder with the master key that belongs to the backup."""
    made = tmp_path / "restored"
    made.mkdir(mode=0o700)
    shutil.copy(filled / "master.key", made)
    return made


def refused(*arguments, **environment) -> str:
    done = run(*arguments, **environment)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("palace: ")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def without_restores(found):
    """Rows without what a restore adds to the log: one row, and the head that names it."""
    rows = [row for row in found["audit"] if "restore" not in row]
    return found | {"audit": rows, "audit_heads": None}


# --- Under load -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def writers(url: str, acknowledged: dict[str, int]) -> AsyncIterator[None]:
    """Eight clients, each of which counts in a PAL of its own; the newest number that was acknowledged is noted."""
    over = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}, timeout=60) as client:

        async def write() -> None:
            body = {"pal_name": "0", "system_prompt": "Count. " * 300, "default_face_id": STOCK_FACE}
            pal = (await client.post("/v2/pals", json=body)).json()["pal_id"]
            for number in itertools.count(1):
                if over.is_set():
                    return
                patch = [{"op": "replace", "path": "/pal_name", "value": str(number)}]
                answer = await client.patch(f"/v2/pals/{pal}", json=patch)
                assert answer.status_code == 200, answer.text
                acknowledged[pal] = number

        work = [asyncio.create_task(write()) for _ in range(8)]
        await until(lambda: len(acknowledged) == len(work))
        yield
        over.set()
        await asyncio.gather(*work)


async def back_up_under_load(
    url: str, data: Path, file: Path, command: str = "backup"
) -> tuple[dict[str, int], dict[str, int]]:
    """What was acknowledged before the backup began, and after it had ended."""
    acknowledged: dict[str, int] = {}
    async with writers(url, acknowledged):
        before = dict(acknowledged)
        words = [sys.executable, "-m", "palace", command, str(file), "--data", str(data)]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
        after = dict(acknowledged)
    return before, after


def test_a_backup_under_write_load_has_every_write_that_was_acknowledged_before_and_is_one_state(tmp_path):
    data, folder, file = tmp_path / "data", tmp_path / "restored", tmp_path / "one.backup"
    with start_palace(data, PALACE_LOG_REQUESTS="false") as server:
        before, after = asyncio.run(back_up_under_load(server.url, data, file))
        with server.client() as client:
            histories = {pal: client.get(f"/v2/pals/{pal}/revisions?limit=100").json()["data"] for pal in before}
    folder.mkdir()
    shutil.copy(data / "master.key", folder)
    done = run("restore", file, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    with start_palace(folder) as restored, restored.client() as client:
        for pal, number in before.items():
            found = client.get(f"/v2/pals/{pal}").json()
            assert number <= int(found["pal_name"]) <= after[pal] + 1
            newest = client.get(f"/v2/pals/{pal}/revisions?limit=100").json()["data"]
            assert newest[0]["revision"] == int(found["pal_name"]) + 1, "document and history are of one moment"
            known = {one["revision"]: one["etag"] for one in histories[pal]}
            assert all(known.get(one["revision"], one["etag"]) == one["etag"] for one in newest)
        pal = next(iter(before))
        assert client.patch(f"/v2/pals/{pal}", json=[{"op": "add", "path": "/greeting", "value": "x"}]).is_success
    assert check_indexes(folder) > 0
    check_documents_equal_their_newest_revision(folder)
    assert run("audit", "verify", "--data", folder).returncode == 0


def test_a_write_between_two_steps_of_a_backup_does_not_wait_for_it_and_is_not_in_it(filled, tmp_path, monkeypatch):
    monkeypatch.setattr("palace.backup.PAGES_AT_ONCE", 1)
    database, steps = tmp_path / "palace.db", []
    shutil.copy(filled / "palace.db", database)
    before = contents(database)
    with closing(sqlite3.connect(database, timeout=0)) as file:

        def write(done: int, of: int) -> None:
            steps.append(done)
            if len(steps) <= 20:
                file.execute(ONE_MORE_ACCOUNT).connection.commit()

        back_up(database, tmp_path / "one.backup", write)
    assert len(steps) > 20
    assert steps == sorted(steps), "it did not begin anew"
    assert contents(tmp_path / "one.backup") == before


def check_documents_equal_their_newest_revision(data: Path) -> None:
    with closing(sqlite3.connect(data / "palace.db")) as file:
        pairs = file.execute(
            "SELECT revision, (SELECT max(number) FROM revisions WHERE document = seq), documents.etag,"
            " (SELECT etag FROM revisions WHERE document = seq ORDER BY number DESC LIMIT 1)"
            " FROM documents WHERE deleted_at IS NULL"
        ).fetchall()
    assert pairs
    assert all(revision == number and etag == newest for revision, number, etag, newest in pairs)


# --- Restored ---------------------------------------------------------------------------------------------------------


def test_everything_comes_back_and_the_restore_is_in_the_audit_log(filled, backup, folder):
    done = run("restore", backup, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "secrets open" in done.stdout
    assert without_restores(contents(folder / "palace.db")) == without_restores(contents(filled / "palace.db"))
    assert all(contents(folder / "palace.db").values()), "there was something in every table"
    log = run("audit", "export", "--data", folder).stdout.splitlines()
    assert (json.loads(log[-1])["action"], json.loads(log[-1])["kind"]) == ("restore", "server")
    assert sorted(path.name for path in folder.iterdir()) == ["master.key", "palace.db", "palace.lock"]
    assert stat.S_IMODE((folder / "palace.db").stat().st_mode) == 0o600


def test_a_backup_is_one_file_readable_by_its_owner_and_no_secret_is_open_in_it(filled, backup):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert not list(filled.parent.glob("one.backup?*"))
    stored = backup.read_bytes()
    assert b"sk-5f2d9c" not in stored
    assert (filled / "master.key").read_text().strip().encode() not in stored
    assert bytes.fromhex((filled / "master.key").read_text()) not in stored


def test_a_file_that_is_there_is_replaced_only_when_told(filled, backup, tmp_path):
    file = tmp_path / "one.backup"
    file.write_text("precious")
    assert "add --force" in refused("backup", file, "--data", filled)
    assert file.read_text() == "precious"
    assert run("backup", file, "--force", "--data", filled).returncode == 0
    assert contents(file) == contents(backup)


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_folder_that_is_missing_is_named_with_what_to_do(filled, tmp_path, command):
    told = refused(command, tmp_path / "no" / "one.file", "--data", filled)
    assert told == f"palace: There is no folder {tmp_path / 'no'}: make it, or name a file in another one.\n"


def test_a_database_that_is_there_is_kept_beside_when_told_to_replace_it(filled, backup, folder):
    assert run("restore", backup, "--data", folder).returncode == 0
    before = contents(folder / "palace.db")
    assert "--force" in refused("restore", backup, "--data", folder)
    assert contents(folder / "palace.db") == before
    done = run("restore", backup, "--data", folder, "--force")
    assert done.returncode == 0
    (kept,) = folder.glob("palace.db.replaced-*")
    assert str(kept) in done.stdout
    assert contents(kept) == before


def test_what_a_killed_server_left_beside_its_database_does_not_meet_the_restored_one(filled, backup, folder):
    with start_palace(folder) as server:
        with server.client() as client:
            body = {"pal_name": "late", "system_prompt": "x", "default_face_id": STOCK_FACE}
            assert client.post("/v2/pals", json=body).is_success
        server.kill()
    assert (folder / "palace.db-wal").stat().st_size > 0
    shutil.copy(filled / "master.key", folder)
    assert run("restore", backup, "--data", folder, "--force").returncode == 0
    assert without_restores(contents(folder / "palace.db")) == without_restores(contents(backup))
    (kept,) = (path for path in folder.glob("palace.db.replaced-*") if not path.name.endswith(("-wal", "-shm")))
    with closing(sqlite3.connect(kept)) as file:
        assert file.execute("SELECT count(*) FROM labels WHERE value = 'late'").fetchall() == [(1,)]


# --- Refused ----------------------------------------------------------------------------------------------------------


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def write_over(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(5 * 4096)
        opened.write(b"\xff" * 8192)


def alter_the_log(file: Path) -> None:
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("UPDATE audit SET action = 'read' WHERE seq = 3").connection.commit()


def make_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("PRAGMA user_version = 99")


def make_text(file: Path) -> None:
    file.write_bytes(b"not a database" * 999)


def make_another(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("CREATE TABLE things (a)").connection.commit()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(cut_off, "", id="cut off"),
        pytest.param(write_over, "", id="written over in the middle"),
        pytest.param(make_text, "is no backup of Palace", id="no database"),
        pytest.param(make_another, "is no backup of Palace", id="another database"),
        pytest.param(make_newer, "has schema 99; this server knows schemas up to", id="of a newer version"),
        pytest.param(alter_the_log, "not genuine: Row 3 was altered", id="with an altered audit log"),
        pytest.param(Path.unlink, "There is no file", id="no file"),
    ],
)
def test_a_file_that_is_not_right_is_refused_and_nothing_is_changed(backup, folder, tmp_path, spoil, told):
    file = tmp_path / "spoilt"
    shutil.copy(backup, file)
    spoil(file)
    assert told in refused("restore", file, "--data", folder)
    assert {path.name for path in folder.iterdir()} <= {"master.key", "palace.lock"}


def test_a_backup_is_restored_only_under_its_own_master_key(filled, backup, folder):
    kept = (folder / "master.key").read_text()
    (folder / "master.key").write_text(OTHER)
    problem = f"{folder / 'master.key'} is not the key that sealed the secrets in the backup. Nothing was changed."
    assert problem in refused("restore", backup, "--data", folder)
    (folder / "master.key").unlink()
    assert "master.key is missing" in refused("restore", backup, "--data", folder)
    assert [path.name for path in folder.iterdir()] == ["palace.lock"]
    assert run("restore", backup, "--data", folder, PALACE_MASTER_KEY=kept.strip()).returncode == 0


def test_no_server_may_work_on_the_folder_while_a_backup_is_put_back(filled, backup, folder):
    with start_palace(folder):
        assert "in use by a server" in refused("restore", backup, "--data", folder, "--force")


def test_a_folder_without_a_database_cannot_be_backed_up(tmp_path):
    assert "There is no database" in refused("backup", tmp_path / "x", "--data", tmp_path / "mistyped")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_makes_no_backup(filled, tmp_path):
    shutil.copy(filled / "palace.db", tmp_path)
    write_over(tmp_path / "palace.db")
    with pytest.raises(StorageFailure):
        back_up(tmp_path / "palace.db", tmp_path / "one.backup", lambda done, of: None)
    assert not list(tmp_path.glob("one.backup*"))


# --- Of an older version ----------------------------------------------------------------------------------------------


def test_a_backup_of_the_first_version_is_brought_up_to_date(tmp_path):
    write_first_schema(tmp_path / "data")
    assert run("backup", tmp_path / "old.backup", "--data", tmp_path / "data").returncode == 0
    with closing(apsw.Connection(str(tmp_path / "old.backup"))) as file:
        assert file.pragma("user_version") == 1
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "data" / "master.key", tmp_path / "new")
    done = run("restore", tmp_path / "old.backup", "--data", tmp_path / "new")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"schema 1 became {newest_schema()}" in done.stdout

"""`palace restore` killed at every point: who holds the folder next finishes it, and what was there is kept whole."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from palace.folder import finish_restores, new_restored
from tests.cli.filled import contents, make_filled, run
from tests.cli.test_backup import refused, without_restores
from tests.serving import ROOT, STOCK_FACE, Palace, start_palace

EVERY_FILE = ("", "-wal", "-shm")
RENAMES = 5
"""The restored database gets a name in the folder; three files make room for it; it takes their place."""

KILLED_BEFORE_A_RENAME = """
import os, signal, sys
from pathlib import Path
from palace.folder import held

folder, left = sys.argv[1], int(sys.argv[2])

def kill(event, arguments):
    global left
    if event == "os.rename" and os.path.dirname(arguments[1]) == folder:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
if sys.argv[3:]:
    from palace.cli import app
    app(sys.argv[3:])
else:
    with held(Path(folder)):
        pass
"""


def killed(folder: Path, before_rename: int, *command: object) -> int:
    """The exit code of `palace`, or without a command of who only holds the folder, killed before an nth rename."""
    words = [sys.executable, "-c", KILLED_BEFORE_A_RENAME, folder, before_rename, *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PALACE_")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    make_filled(data)
    assert run("backup", data.parent / "one.backup", "--data", data).returncode == 0
    return data


@pytest.fixture
def backup(filled) -> Path:
    return filled.parent / "one.backup"


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory, filled) -> Path:
    """What a killed server left: a database whose newest object lies in the log beside it."""
    data = tmp_path_factory.mktemp("left") / "data"
    data.mkdir(mode=0o700)
    shutil.copy(filled / "master.key", data)
    with start_palace(data, backend="file") as server:
        make_pal(server, "late")
        server.kill()
    assert all((data / f"palace.db{end}").stat().st_size for end in EVERY_FILE)
    assert b"late" not in (data / "palace.db").read_bytes()
    return data


@pytest.fixture
def folder(left_behind, tmp_path) -> Path:
    return Path(shutil.copytree(left_behind, tmp_path / "data"))


def make_pal(server: Palace, name: str) -> None:
    with server.client() as client:
        body = {"pal_name": name, "system_prompt": "x", "default_face_id": STOCK_FACE}
        assert client.post("/v2/pals", json=body).is_success


def late(file: sqlite3.Connection) -> bool:
    return bool(file.execute("SELECT 1 FROM labels WHERE value = 'late'").fetchall())


def check_kept(kept: Path) -> None:
    """It is the database from before, with the log that belongs to it."""
    with closing(sqlite3.connect(kept)) as file:
        assert late(file)
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def check_restored(folder: Path, backup: Path) -> None:
    assert without_restores(contents(folder / "palace.db")) == without_restores(contents(backup))
    assert not list(folder.glob("palace.db.restored-*"))


def kept_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("palace.db.replaced-*") if path.name.endswith("Z"))


def names(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


# --- Finished ---------------------------------------------------------------------------------------------------------


def test_killed_before_its_first_rename_a_restore_has_changed_nothing(backup, folder):
    assert killed(folder, 1, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    assert not list(folder.glob("palace.db.re*"))
    assert run("keys", "list", "--data", folder).returncode == 0
    check_kept(folder / "palace.db")


@pytest.mark.parametrize("before_rename", range(2, RENAMES + 1))
def test_killed_later_it_is_finished_by_the_next_server_and_what_was_there_is_kept(
    backup, folder, tmp_path, before_rename
):
    assert killed(folder, before_rename, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    moved = [(folder / f"palace.db{end}").exists() for end in EVERY_FILE]
    assert moved == [number + 2 >= before_rename for number in range(3)], "each point is another state"
    with start_palace(folder, backend="file") as server:
        with server.client() as client:
            found = [pal["pal_name"] for pal in client.get("/v2/pals").json()["data"]]
        assert any(name.startswith("Straße") for name in found)
        assert "late" not in found
        assert "finished a restore that was broken off" in server.log.read_text()
    (kept,) = kept_in(folder)
    assert kept.with_name(kept.name + "-wal").exists()
    check_kept(kept)
    log = run("audit", "export", "--data", folder).stdout.splitlines()
    assert "restore" in [json.loads(line)["action"] for line in log]
    assert run("audit", "verify", "--data", folder).returncode == 0


def test_the_last_rename_ends_it(backup, folder):
    assert killed(folder, RENAMES + 1, "restore", backup, "--force", "--data", folder) == 0
    check_restored(folder, backup)
    check_kept(*kept_in(folder))


def test_who_finishes_it_may_be_killed_again_and_again(backup, folder):
    assert killed(folder, 2, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    for _ in range(3):
        before = names(folder)
        assert killed(folder, 1) == -signal.SIGKILL
        assert names(folder) == before
        assert killed(folder, 2) == -signal.SIGKILL
        assert names(folder) != before
    assert killed(folder, 2) == 0
    check_restored(folder, backup)
    check_kept(*kept_in(folder))
    assert killed(folder, 1) == 0, "nothing is left to do"


def test_where_nothing_was_before_it_is_finished_too(backup, filled, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(filled / "master.key", folder)
    assert killed(folder, 2, "restore", backup, "--data", folder) == -signal.SIGKILL
    assert not (folder / "palace.db").exists()
    assert run("migrate", "up", "--data", folder).returncode == 0
    check_restored(folder, backup)
    assert kept_in(folder) == []


@pytest.mark.parametrize("command", [("keys", "rotate-master"), ("migrate", "up")], ids=" ".join)
def test_other_commands_that_hold_the_folder_finish_it_first(backup, folder, command):
    assert killed(folder, 3, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    done = run(*command, "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(folder.glob("palace.db.restored-*"))
    check_kept(*kept_in(folder))


def test_an_import_into_the_folder_finds_the_restored_database_there(backup, filled, folder, tmp_path):
    assert run("export", tmp_path / "one.export", "--data", filled).returncode == 0
    assert killed(folder, 3, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    assert "There is a database at" in refused("import", tmp_path / "one.export", "--data", folder)
    check_restored(folder, backup)


# --- Restored anew ----------------------------------------------------------------------------------------------------


def test_the_same_restore_again_says_that_the_first_one_is_finished_now(backup, filled, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(filled / "master.key", folder)
    assert killed(folder, 2, "restore", backup, "--data", folder) == -signal.SIGKILL
    told = refused("restore", backup, "--data", folder)
    assert "it is finished now" in told
    assert "--force" in told
    check_restored(folder, backup)
    assert "There is a database in" in refused("restore", backup, "--data", folder)


def test_a_forced_restore_after_one_that_was_broken_off_keeps_the_databases_of_both_moments(backup, folder):
    assert killed(folder, 4, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    assert run("restore", backup, "--force", "--data", folder).returncode == 0
    check_restored(folder, backup)
    first, second = kept_in(folder)
    check_kept(first)
    assert without_restores(contents(second)) == without_restores(contents(backup))


def test_restores_within_one_second_keep_each_database_that_they_replace(tmp_path):
    for number in range(20):
        new_restored(tmp_path).write_text(str(number))
        finish_restores(tmp_path)
    found = [path.read_text() for path in (*kept_in(tmp_path), tmp_path / "palace.db")]
    assert found == [str(number) for number in range(20)]


@pytest.mark.parametrize("before_rename", range(3, RENAMES + 1))
def test_a_database_that_somebody_put_there_meanwhile_is_kept_with_the_others(backup, folder, before_rename):
    assert killed(folder, before_rename, "restore", backup, "--force", "--data", folder) == -signal.SIGKILL
    first, strange = *kept_in(folder), folder / "palace.db"
    moved = [end for end in EVERY_FILE if (folder / (first.name + end)).exists()]
    for end in EVERY_FILE:
        (folder / f"palace.db{end}").unlink(missing_ok=True)  # As SQLite does where it makes a new database.
    with closing(sqlite3.connect(strange)) as file:
        file.execute("PRAGMA journal_mode = wal")
        file.execute("CREATE TABLE things AS SELECT 'strange' AS name").connection.commit()
        others = [(folder / f"palace.db{end}").read_bytes() for end in EVERY_FILE]
    for end, content in zip(EVERY_FILE, others, strict=True):
        (folder / f"palace.db{end}").write_bytes(content)  # With a log of its own beside it.
    before = {end: (folder / (first.name + end)).read_bytes() for end in moved}
    (kept,) = finish_restores(folder)
    check_restored(folder, backup)
    assert kept_in(folder) == [first, kept]
    assert {end: (folder / (first.name + end)).read_bytes() for end in moved} == before
    with closing(sqlite3.connect(kept)) as file:
        assert file.execute("SELECT name FROM things").fetchall() == [("strange",)]


# --- Refused until then -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "create"),
        ("keys", "list"),
        ("keys", "revoke", "key-1"),
        ("audit", "verify"),
        ("audit", "head"),
        ("audit", "export"),
        ("backup", "FILE"),
        ("export", "FILE"),
        ("migrate", "status"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("before_rename", [2, RENAMES], ids=["the database not yet moved", "none under its name"])
def test_commands_that_do_not_hold_the_folder_refuse_and_change_nothing(broken_off, tmp_path, before_rename, command):
    folder = broken_off[before_rename]
    before = names(folder)
    words = [str(tmp_path / "file") if word == "FILE" else word for word in command]
    told = refused(*words, "--data", folder)
    assert f"A restore into {folder} is not finished. Start the server on it" in told
    assert names(folder) == before
    assert not (tmp_path / "file").exists()


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory, filled, left_behind) -> dict[int, Path]:
    """Folders whose restore was killed before its nth rename."""
    made = {}
    for before_rename in (2, RENAMES):
        folder = tmp_path_factory.mktemp("broken") / "data"
        shutil.copytree(left_behind, folder)
        command = ("restore", filled.parent / "one.backup", "--force", "--data", folder)
        assert killed(folder, before_rename, *command) == -signal.SIGKILL
        made[before_rename] = folder
    return made


def test_the_doctor_tells_it_and_changes_nothing(broken_off):
    for folder in broken_off.values():
        before = names(folder)
        done = run("doctor", "--json", "--data", folder)
        assert (done.returncode, done.stderr) == (1, "")
        (found,) = (finding for finding in json.loads(done.stdout) if finding["state"] == "problem")
        assert found["name"] == "database"
        assert "is not finished" in found["said"]
        assert names(folder) == before

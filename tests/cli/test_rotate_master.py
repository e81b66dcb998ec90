"""The master key: where it comes from, changing it, and every state in which that can be broken off."""

import asyncio
import os
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import apsw
import pytest

from palace.clock import Clock
from palace.etags import content_etag
from palace.ids import Ids
from palace.sealed import open_chain
from palace.storage import SqliteStore
from palace.storage.migrate import migrations
from palace.vault import Vault, VaultError
from tests.cli.test_commands import palace as run
from tests.quick import Quick
from tests.rows import change, rows
from tests.serving import STOCK_FACE, Palace, copied, database_of, start_palace

MASK = "*" * 8
SECRETS = {f"pal {number}": f"sk-{number}-5f2d9c" for number in range(3)}
OLD, NEW, OTHER = "0a" * 32, "1b" * 32, "2c" * 32


def body(name: str, secret: str) -> dict:
    llm = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": secret}
    return {"pal_name": name, "system_prompt": "x", "default_face_id": STOCK_FACE, "layers": {"llm": llm}}


def fill(server: Palace) -> None:
    with server.client() as client:
        for name, secret in SECRETS.items():
            assert client.post("/v2/pals", json=body(name, secret)).status_code == 200


def check(server: Palace) -> None:
    """Every secret is there: its mask and the secret itself change nothing, another one does."""
    with server.client() as client:
        pals = {pal["pal_name"]: pal["pal_id"] for pal in client.get("/v2/pals?pal_type=user").json()["data"]}
        for name, secret in SECRETS.items():
            for value, status in ((MASK, 304), (secret, 304), ("sk-another", 200), (secret, 200)):
                patch = [{"op": "replace", "path": "/layers/llm/api_key", "value": value}]
                assert client.patch(f"/v2/pals/{pals[name]}", json=patch).status_code == status


def sealed_in(data: Path) -> dict[str, bytes]:
    return dict(rows(data, "SELECT place, sealed FROM secrets") + rows(data, "SELECT name, sealed FROM server_secrets"))


def key_lines(data: Path) -> list[str]:
    return (data / "master.key").read_text().split()


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("filled") / "data"
    with start_palace(data) as server:
        fill(server)
    return data


@pytest.fixture
def data(filled, tmp_path) -> Path:
    return copied(filled, tmp_path / "data")


# --- Rotation ---------------------------------------------------------------------------------------------------------


def test_a_rotation_seals_everything_anew_under_a_new_key_and_drops_the_old_one(data):
    old_keys, old_sealed = key_lines(data), sealed_in(data)
    done = run("keys", "rotate-master", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"The master key is a new one: 3 secrets were sealed anew, and {data / 'master.key'}")
    assert len(key_lines(data)) == 1
    assert key_lines(data) != old_keys
    assert stat.S_IMODE((data / "master.key").stat().st_mode) == 0o600
    new_sealed = sealed_in(data)
    assert new_sealed.keys() == old_sealed.keys()
    assert all(new_sealed[place] != old_sealed[place] for place in old_sealed)
    stored = b"".join(path.read_bytes() for path in data.iterdir())
    assert not any(sealed in stored for sealed in old_sealed.values()), "nothing that the old key opens is left"
    with start_palace(data) as server:
        check(server)
    assert run("audit", "verify", "--data", data).returncode == 0
    assert '"rotate", "kind": "master_key"' in run("audit", "export", "--data", data).stdout


def test_the_key_from_before_opens_nothing_any_more(data):
    kept = (data / "master.key").read_text()
    assert run("keys", "rotate-master", "--data", data).returncode == 0
    (data / "master.key").write_text(kept)
    done = run("serve", "--port", "0", "--data", data)
    assert (done.returncode, "is not the key that sealed" in done.stderr) == (1, True)


def write_two_keys(data: Path) -> None:
    (data / "master.key").write_text(f"{NEW}\n{key_lines(data)[0]}\n")


def leave_a_new_file_beside(data: Path) -> None:
    (data / "master.key.new").write_text(NEW[:10])


def seal_everything_anew(data: Path) -> None:
    """All but the last step."""
    kept = key_lines(data)[0]
    (data / "master.key").write_text(f"{NEW}\n{kept}\n")
    run("keys", "rotate-master", "--data", data)
    (data / "master.key").write_text(f"{NEW}\n{kept}\n")


def serve_with_two_keys(data: Path) -> None:
    """Broken off after the first step, and the server went on: some secrets are sealed with either key."""
    write_two_keys(data)
    with start_palace(data) as server, server.client() as client:
        pal = client.post("/v2/pals", json=body("another", "sk-new")).json()["pal_id"]
        assert client.get(f"/v2/pals/{pal}").json()["layers"]["llm"]["api_key"] == MASK
        assert "rotate-master" in server.log.read_text()


BROKEN_OFF = [
    pytest.param(leave_a_new_file_beside, id="while the new key file was written"),
    pytest.param(write_two_keys, id="before anything was sealed anew"),
    pytest.param(serve_with_two_keys, id="and a server worked in between"),
    pytest.param(seal_everything_anew, id="before the old key was dropped"),
]


@pytest.mark.parametrize("break_off", BROKEN_OFF)
def test_a_rotation_that_was_broken_off_leaves_all_working_and_is_finished_by_another(data, break_off):
    break_off(data)
    with start_palace(data) as server:
        check(server)
    has_two = len(key_lines(data)) == 2
    done = run("keys", "rotate-master", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A rotation that was broken off is finished") == has_two
    assert len(key_lines(data)) == 1
    assert not (data / "master.key.new").exists()
    with start_palace(data) as server:
        check(server)
    assert run("audit", "verify", "--data", data).returncode == 0


def test_sigkill_in_the_middle_of_rotations_loses_no_secret(data):
    command = [sys.executable, "-m", "palace", "keys", "rotate-master", "--data", str(data)]
    for seconds in (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.17):
        with Quick(command, env=os.environ | database_of(data), stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
    assert run("keys", "rotate-master", "--data", data).returncode == 0
    assert len(key_lines(data)) == 1
    with start_palace(data) as server:
        check(server)


def test_a_secret_that_does_not_open_is_named_and_nothing_is_changed(data):
    place = rows(data, "SELECT place FROM secrets ORDER BY place")[1][0]
    change(data, "UPDATE secrets SET sealed = ? WHERE place = ?", bytes(40), place)
    keys, sealed = key_lines(data), sealed_in(data)
    done = run("keys", "rotate-master", "--data", data)
    assert (done.returncode, place in done.stderr) == (1, True)
    assert (key_lines(data), sealed_in(data)) == (keys, sealed)


# --- One process at a time --------------------------------------------------------------------------------------------


def test_a_second_server_and_a_rotation_are_refused_beside_a_server_and_keys_are_not(data):
    with start_palace(data) as server:
        for command in (["serve", "--port", "0"], ["keys", "rotate-master"]):
            done = run(*command, "--data", data)
            assert done.returncode == 1
            assert f"palace: The folder {data} is in use by a server: stop that one first." in done.stderr
            assert ("need folders of their own" in done.stderr) == (command[0] == "serve")
        assert run("keys", "create", "--data", data).returncode == 0
        assert run("keys", "list", "--data", data).returncode == 0
        server.kill()
        with start_palace(data):
            pass


@pytest.mark.about_the_file("which is not there")
def test_there_is_nothing_to_rotate_in_a_folder_without_a_database(tmp_path):
    done = run("keys", "rotate-master", "--data", tmp_path / "mistyped")
    assert (done.returncode, "no database" in done.stderr) == (1, True)
    assert not (tmp_path / "mistyped").exists()


# --- A key of one's own -----------------------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_and_is_changed_there(tmp_path):
    data = tmp_path / "data"
    with start_palace(data, PALACE_MASTER_KEY=OLD) as server:
        fill(server)
    assert not (data / "master.key").exists()
    alone = run("keys", "rotate-master", "--data", data, PALACE_MASTER_KEY=OLD)
    assert (alone.returncode, "Put a new one before it" in alone.stderr) == (1, True)
    with start_palace(data, PALACE_MASTER_KEY=f"{NEW},{OLD}") as server:
        check(server)
    done = run("keys", "rotate-master", "--data", data, PALACE_MASTER_KEY=f"{NEW},{OLD}")
    assert done.returncode == 0
    assert "the others can be removed from it now" in done.stdout
    with start_palace(data, PALACE_MASTER_KEY=NEW) as server:
        check(server)
    wrong = run("serve", "--port", "0", "--data", data, PALACE_MASTER_KEY=OLD)
    assert (wrong.returncode, "PALACE_MASTER_KEY is not the key that sealed" in wrong.stderr) == (1, True)
    assert not (data / "master.key").exists()


def test_a_key_file_elsewhere_is_made_there_kept_and_rotated(tmp_path):
    data, folder = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "link").symlink_to(folder / "key")
    with start_palace(data, "--master-key-file", str(folder / "link")) as server:
        fill(server)
    kept = (folder / "key").read_text()
    assert not (data / "master.key").exists()
    done = run("keys", "rotate-master", "--data", data, PALACE_MASTER_KEY_FILE=str(folder / "link"))
    assert done.returncode == 0
    assert (folder / "link").is_symlink()
    assert (folder / "key").read_text() != kept
    with start_palace(data, PALACE_MASTER_KEY_FILE=str(folder / "link")) as server:
        check(server)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        pytest.param({"PALACE_MASTER_KEY": "secret"}, "PALACE_MASTER_KEY cannot be used", id="not hexadecimal"),
        pytest.param({"PALACE_MASTER_KEY": OLD + "ab"}, "64 hexadecimal digits", id="too long"),
        pytest.param({"PALACE_MASTER_KEY": f"{OLD},secret"}, "64 hexadecimal digits", id="the second one is none"),
        pytest.param({"PALACE_MASTER_KEY": ","}, "64 hexadecimal digits", id="no key at all"),
        pytest.param({"PALACE_MASTER_KEY_FILE": "/nowhere/key"}, "/nowhere/key cannot be made", id="no such folder"),
        pytest.param(
            {"PALACE_MASTER_KEY_FILE": "/dev/null"}, "/dev/null does not hold a master key", id="no key in it"
        ),
        pytest.param({"PALACE_MASTER_KEY_FILE": "/"}, "/ cannot be read", id="a folder"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_in_one_line_and_never_shown(tmp_path, environment, told):
    done = run("serve", "--port", "0", "--data", tmp_path / "data", **environment)
    assert done.returncode == 1
    assert told in done.stderr
    assert "secret" not in done.stderr
    assert OLD not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_key_is_told_at_the_start_also_where_no_secret_is_stored(tmp_path):
    data = tmp_path / "data"
    with start_palace(data):
        pass
    database = "this database" if database_of(data) else data / "palace.db"
    (data / "master.key").write_text(OTHER)
    for command in (["serve", "--port", "0"], ["keys", "list"], ["keys", "rotate-master"], ["audit", "verify"]):
        done = run(*command, "--data", data)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{data / 'master.key'} is not the key that sealed the secrets in {database}." in done.stderr


# --- A database from before the audit log -----------------------------------------------------------------------------


def make_older_database(path: Path, vault: Vault) -> None:
    """As the version before this one left it, with one secret."""
    with apsw.Connection(str(path)) as file:
        file.create_scalar_function("content_etag", content_etag)
        file.create_scalar_function("from_base64", b64decode)
        for number, script in migrations()[:2]:
            file.execute(script)
            file.pragma("user_version", number)
        sealed = vault.seal("sk-old", "pal/p1/layers/llm/api_key")
        file.execute(
            "INSERT INTO documents VALUES (1, 'pal', 'p1', 1, 1, 1, '', '', '', NULL, NULL, CAST('{}' AS BLOB))"
        )
        file.execute("INSERT INTO secrets VALUES ('s1', 1, 'pal/p1/layers/llm/api_key', ?)", (sealed,))
    file.close()


def test_an_older_database_starts_with_its_own_key_and_a_wrong_one_leaves_no_trace_in_it(tmp_path):
    path = tmp_path / "palace.db"
    right, wrong = Vault([bytes.fromhex(OLD)], Ids()), Vault([bytes.fromhex(OTHER)], Ids())
    make_older_database(path, right)

    async def scene():
        store = SqliteStore(path)
        with pytest.raises(VaultError):
            await open_chain(store, wrong, Clock(), Ids())
        assert await store.reading.all_server_secrets() == []
        made = await open_chain(store, right, Clock(), Ids())
        again = await open_chain(store, right, Clock(), Ids())
        assert made.start() == again.start()
        with pytest.raises(VaultError):
            await open_chain(store, wrong, Clock(), Ids())
        await store.close()

    asyncio.run(scene())

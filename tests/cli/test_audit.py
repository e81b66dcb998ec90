"""`palace audit`: what is logged, what is found when somebody changes the log, and how it is handed out."""

import csv
import io
import json
import stat
import time
from pathlib import Path

import pytest

from tests.cli.test_commands import palace as run
from tests.rows import change, rows
from tests.serving import STOCK_FACE, copied, start_palace

PAL = {"pal_name": "Night Desk", "system_prompt": "A prompt that is in no log.", "default_face_id": STOCK_FACE}


def exported(data: Path, *options: str) -> list[dict]:
    done = run("audit", "export", "--data", data, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(rows: list[dict]) -> list[tuple]:
    return [(row["action"], row["kind"], row["id"], row["revision"]) for row in rows]


def greet(client, pal: str, greeting: str, **options):
    patch = [{"op": "replace", "path": "/greeting", "value": greeting}]
    return client.patch(f"/v2/pals/{pal}", json=patch, **options)


# --- What is logged ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A data folder after a short life, the PAL in it, and what the log said when the server had just started."""
    data = tmp_path_factory.mktemp("audit") / "data"
    with start_palace(data) as server, server.client() as client:
        before = len(exported(data))
        pal = client.post("/v2/pals", json=PAL, headers={"x-request-id": "r-create"}).json()["pal_id"]
        refused = [
            greet(client, pal, "x", headers={"if-match": '"other"'}),
            greet(client, pal, ["no text"]),
            client.delete("/v2/pals/p00000000000"),
            client.post("/v2/pals", json={}),
        ]
        assert all(answer.status_code >= 400 for answer in refused)
        assert greet(client, pal, "Hello.", params={"dry_run": "true"}).status_code == 200
        assert greet(client, pal, "Hello.").status_code == 200
        assert greet(client, pal, "Hello.").status_code == 304
        for step in ({"greeting": "Hi."}, {"greeting": "Hi."}):
            headers = {"content-type": "application/merge-patch+json", "idempotency-key": "once"}
            assert client.patch(f"/v2/pals/{pal}", json=step, headers=headers).status_code == 200
        assert client.post(f"/v2/pals/{pal}/revisions/2/revert").status_code == 409
        assert client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).status_code == 200
        assert client.post(f"/v2/pals/{pal}/revisions/2/revert").status_code == 304
        assert client.post(f"/v2/pals/{pal}/revisions/4/revert").status_code == 200
        assert client.delete(f"/v2/pals/{pal}").status_code == 204
        assert client.post(f"/v2/pals/{pal}/restore").status_code == 200
    return data, pal, before


def test_every_accepted_write_is_one_row_and_a_refused_or_previewed_one_is_none(logged):
    data, pal, before = logged
    actions = ["create", "patch", "merge_patch", "rollback", "revert", "delete", "restore"]
    assert said(exported(data)[before:]) == [(action, "pal", pal, n) for n, action in enumerate(actions, 1)]


def test_what_is_done_to_a_draft_is_logged_under_its_number(tmp_path):
    data = tmp_path / "data"
    with start_palace(data) as server, server.client() as client:
        pal = client.post("/v2/pals", json=PAL).json()["pal_id"]
        before = len(exported(data))
        draft = [{"op": "replace", "path": "/greeting", "value": "Later."}]
        again = [{"op": "replace", "path": "/greeting", "value": "Much later."}]
        back = [{"op": "replace", "path": "/greeting", "value": client.get(f"/v2/pals/{pal}").json()["greeting"]}]
        for patch in (draft, again, again, back, draft):
            assert client.patch(f"/v2/pals/{pal}/draft", json=patch).status_code in (200, 304)
        assert client.delete(f"/v2/pals/{pal}/draft").status_code == 204
        assert client.post(f"/v2/pals/{pal}/drafts/2/restore").status_code == 200
        assert greet(client, pal, "Now.", params={"force": "true"}).status_code == 200
        assert client.patch(f"/v2/pals/{pal}/draft", json=draft).status_code == 200
        assert client.post(f"/v2/pals/{pal}/publish").status_code == 200
    assert [(row["kind"], row["action"], row["revision"]) for row in exported(data)[before:]] == [
        ("draft", "create", 1),
        ("draft", "patch", 1),
        ("draft", "discard", 1),
        ("draft", "create", 2),
        ("draft", "discard", 2),
        ("draft", "restore", 2),
        ("draft", "discard", 2),
        ("pal", "patch", 2),
        ("draft", "create", 3),
        ("pal", "publish", 3),
    ]
    assert {row["id"] for row in exported(data)[before:]} == {pal}


def test_a_row_tells_account_key_and_request(logged):
    data, _, before = logged
    row = exported(data)[before]
    key = run("keys", "list", "--data", data).stdout.split("\n")[1].split()[0]
    assert (row["account"], row["account_name"], row["key_id"], row["request_id"]) == (1, "default", key, "r-create")
    assert (row["seq"], len(row["mac"]), row["at"][-1]) == (before + 1, 64, "Z")


def test_the_log_begins_with_itself_the_server_the_stock_and_the_first_account(logged):
    data, _, before = logged
    rows = [row for row in exported(data)[:before] if not row["id"].startswith("chain ")]
    assert said(rows[:2]) == [("begin", "audit", "", None), ("start", "server", rows[1]["id"], None)]
    assert {(row["account"], row["key_id"], row["action"], row["revision"]) for row in rows[2:-3]} == {
        (0, None, "create", 1)
    }
    assert [(row["kind"], row["action"], row["account_name"]) for row in rows[-3:]] == [
        ("account", "create", "default"),
        ("pal", "create", "default"),
        ("key", "create", "default"),
    ]


def test_keys_that_are_made_and_revoked_beside_a_server_that_writes_keep_the_chain_whole(tmp_path):
    data = tmp_path / "data"
    with start_palace(data) as server, server.client() as client:
        pal = client.post("/v2/pals", json=PAL).json()["pal_id"]
        for number in range(3):
            greet(client, pal, f"before {number}")
            assert run("keys", "create", "--account", f"site-{number}", "--data", data).returncode == 0
            greet(client, pal, f"after {number}")
        listed = run("keys", "list", "--data", data).stdout
        key = next(line.split()[0] for line in listed.splitlines() if "site-1" in line)
        assert run("keys", "revoke", key, "--data", data).returncode == 0
        assert run("keys", "revoke", key, "--data", data).returncode == 1
        assert run("audit", "verify", "--data", data).returncode == 0
    rows = exported(data)
    assert said([row for row in rows if row["account_name"] == "site-1"]) == [
        ("create", "account", "site-1", None),
        ("create", "key", key, None),
        ("revoke", "key", key, None),
    ]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))


def test_after_sigkill_the_log_is_whole_and_has_every_acknowledged_write(tmp_path):
    data = tmp_path / "data"
    with start_palace(data) as server, server.client() as client:
        pal = client.post("/v2/pals", json=PAL).json()["pal_id"]
        for number in range(50):
            assert greet(client, pal, str(number)).status_code == 200
        server.kill()
    assert run("audit", "verify", "--data", data).returncode == 0
    assert [row["revision"] for row in exported(data) if row["id"] == pal] == list(range(1, 52))


def test_switched_off_it_says_so_and_logs_nothing_else(tmp_path):
    data = tmp_path / "data"
    with start_palace(data):
        pass
    before = len(exported(data))
    with start_palace(data, "--no-audit") as server, server.client() as client:
        assert client.post("/v2/pals", json=PAL).status_code == 200
    with start_palace(data, PALACE_AUDIT="true"):
        assert [row["action"] for row in exported(data)[before:]] == ["start_without_audit", "start"]


def test_what_was_deleted_longer_than_restore_days_ago_is_purged_at_the_start_and_logged(tmp_path):
    data = tmp_path / "data"
    secret = {"layers": {"tts": {"tts_engine": "elevenlabs", "api_key": "el-secret"}}}
    with start_palace(data) as server, server.client() as client:
        old, young = (client.post("/v2/pals", json=PAL | secret).json()["pal_id"] for _ in range(2))
        client.delete(f"/v2/pals/{young}")
        client.delete(f"/v2/pals/{old}", headers={"idempotency-key": "gone"})
    change(data, "UPDATE documents SET deleted_at = '2020-01-01T00:00:00.000000Z' WHERE id = ?", old)
    change(data, "UPDATE answers SET created_at = '2020-01-01T00:00:00.000000Z'")
    with start_palace(data) as server, server.client() as client:
        deadline = time.monotonic() + 10
        while "purge" not in {row["action"] for row in exported(data)} and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.post(f"/v2/pals/{old}/restore").status_code == 400
        assert client.post(f"/v2/pals/{young}/restore").status_code == 200
    purged = [row for row in exported(data) if row["action"] == "purge"]
    assert said(purged) == [("purge", "pal", old, 2)]
    assert purged[0]["account_name"] == "default"
    assert "forgot" in server.log.read_text()
    assert rows(data, "SELECT count(*) FROM secrets") == [(1,)]
    assert rows(data, "SELECT count(*) FROM answers") == [(0,)]


# --- What is found ----------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(logged, tmp_path):
    """A copy of the data folder, to be tampered with."""
    return copied(logged[0], tmp_path / "copy")


TAMPERING = [
    pytest.param("UPDATE audit SET account = 2 WHERE seq = 15", ["Row 15 was altered"], id="another account"),
    pytest.param("UPDATE audit SET at = replace(at, '2', '1') WHERE seq = 15", ["Row 15 was altered"], id="a time"),
    pytest.param(
        "UPDATE audit SET mac = tag FROM audit_heads WHERE audit_heads.chain = 0 AND audit.seq = 15",
        ["Row 15 was altered"],
        id="a MAC",
    ),
    pytest.param(
        "UPDATE audit SET key_id = NULL WHERE seq = (SELECT min(seq) FROM audit WHERE key_id IS NOT NULL)",
        [" was altered"],
        id="a key taken away",
    ),
    pytest.param("UPDATE audit SET id = CAST(x'ff00' AS TEXT) WHERE seq = 15", ["Row 15 was altered"], id="no UTF-8"),
    pytest.param("DELETE FROM audit WHERE seq = 15", ["Row 15 is missing"], id="a removed row"),
    pytest.param("DELETE FROM audit WHERE seq < 4", ["Rows 1 to 3 are missing"], id="a removed beginning"),
    pytest.param("DELETE FROM audit WHERE seq > 17", ["Rows 18 to"], id="a removed end"),
    pytest.param(
        "DELETE FROM audit WHERE seq > 17; UPDATE audit_heads SET seq = 17 WHERE chain = 0",
        ["The head of the log was altered: there may have been rows behind row 17."],
        id="a removed end, with the head",
    ),
    pytest.param("DELETE FROM audit_heads", ["The head of the log is missing"], id="a removed head"),
    pytest.param("DELETE FROM audit; DELETE FROM audit_heads", ["The head of the log is missing"], id="all of it"),
    pytest.param(
        "INSERT INTO audit SELECT chain, seq + 1, at, account, key_id, action, kind, id, revision, request_id, mac"
        " FROM audit ORDER BY seq DESC LIMIT 1",
        ["was inserted"],
        id="an inserted row",
    ),
    pytest.param(
        "UPDATE audit SET seq = -1 WHERE seq = 15; UPDATE audit SET seq = 15 WHERE seq = 16;"
        "UPDATE audit SET seq = 16 WHERE seq = -1",
        ["Row 15 was altered", "Row 16 was altered"],
        id="two rows that changed places",
    ),
]


@pytest.mark.parametrize(("script", "told"), TAMPERING)
def test_verify_names_the_row_that_was_tampered_with(copy, script, told):
    assert run("audit", "verify", "--data", copy).returncode == 0
    change(copy, script)
    done = run("audit", "verify", "--data", copy)
    assert done.returncode == 1
    assert all(sentence in done.stdout for sentence in told), done.stdout
    assert "tampered" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_writes_on_does_not_cover_up_a_removed_end(copy):
    change(copy, "DELETE FROM audit WHERE seq > 17; UPDATE audit_heads SET seq = 17 WHERE chain = 0")
    with start_palace(copy) as server, server.client() as client:
        assert client.post("/v2/pals", json=PAL).status_code == 200
    done = run("audit", "verify", "--data", copy)
    assert (done.returncode, done.stdout) == (
        1,
        "Row 18 was altered, or rows before it were taken away: its MAC does not fit.\n",
    )
    assert run("audit", "head", "--data", copy).returncode == 0


def test_a_long_list_of_findings_is_cut(copy):
    change(copy, "UPDATE audit SET account = 9")
    done = run("audit", "verify", "--data", copy)
    assert len(done.stdout.splitlines()) <= 21


def test_an_earlier_head_must_still_be_in_the_log(logged, copy):
    data, pal, _ = logged
    earlier = run("audit", "head", "--data", copy).stdout.strip()
    seq, mac = earlier.split(":")
    assert f"Head: seq {seq}, mac {mac}" in run("audit", "verify", "--data", copy).stdout
    with start_palace(copy) as server, server.client() as client:
        greet(client, pal, "later")
    assert run("audit", "verify", "--data", copy, "--expect", earlier).returncode == 0
    assert run("audit", "head", "--data", copy).stdout.strip() != earlier
    later = run("audit", "head", "--data", copy).stdout.strip()
    restored = run("audit", "verify", "--data", data, "--expect", later)
    assert (restored.returncode, "not in the log any more" in restored.stdout) == (1, True)
    other = run("audit", "verify", "--data", copy, "--expect", f"{seq}:{'0' * 64}")
    assert (other.returncode, "another MAC" in other.stdout) == (1, True)
    wrong = run("audit", "verify", "--data", copy, "--expect", "7")
    assert (wrong.returncode, "palace audit head" in wrong.stderr) == (1, True)


def test_head_refuses_a_log_whose_end_was_changed(copy):
    change(copy, "DELETE FROM audit WHERE seq > 17")
    done = run("audit", "head", "--data", copy)
    assert (done.returncode, done.stdout, "verify" in done.stderr) == (1, "", True)


# --- How it is handed out ---------------------------------------------------------------------------------------------


def test_csv_and_json_lines_say_the_same_in_a_file_for_its_owner_only(logged, tmp_path):
    data = logged[0]
    out = tmp_path / "log.csv"
    assert run("audit", "export", "--data", data, "--format", "csv", "--out", out).stdout == ""
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    table = list(csv.DictReader(io.StringIO(out.read_text())))
    assert table == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in exported(data)
    ]


def test_rows_can_be_chosen_by_time_and_account(logged):
    data, _, before = logged
    rows = exported(data)
    at = rows[before]["at"]
    assert exported(data, "--since", at) == rows[before:]
    assert exported(data, "--since", at.replace("Z", "+00:00")) == rows[before:]
    assert exported(data, "--since", "2200-01-01") == []
    assert exported(data, "--account", "default") == [row for row in rows if row["account"] == 1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(["--since", "yesterday"], "--since takes", id="a time that is none"),
        pytest.param(["--account", "nobody"], "no account 'nobody'", id="an account that does not exist"),
        pytest.param(["--out", "/nowhere/log"], "/nowhere/log", id="a file that cannot be written"),
        pytest.param(["--format", "xml"], "--format", id="a format that there is not"),
    ],
)
def test_export_refuses_what_cannot_work_in_one_line(logged, options, told):
    done = run("audit", "export", "--data", logged[0], *options)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_export_holds_nothing_of_what_objects_say(logged):
    done = run("audit", "export", "--data", logged[0])
    assert "Night Desk" not in done.stdout
    assert "prompt" not in done.stdout

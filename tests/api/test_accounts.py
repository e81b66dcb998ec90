"""Keys and accounts: who is let in, and that one account never meets another's objects."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests import quick
from tests.api.wire import NO_SUCH_ID, document, patch, refused, replace
from tests.serving import BACKEND, KEY, STOCK_FACE, Palace, database_of, start_palace
from tests.waiting import wait_until

NewPal = Callable[..., str]


def run(*arguments: str, data: Path, succeeds: bool = True) -> str:
    """`palace keys …` in a process of its own; what it printed."""
    command = [sys.executable, "-m", "palace", "keys", *arguments, "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PALACE_")}
    environment |= database_of(data)
    done = quick.run(command, env=environment)
    assert (done.returncode == 0) is succeeds, done.stderr
    return (done.stdout + done.stderr).strip()


@pytest.fixture(scope="module")
def other_key(palace: Palace) -> str:
    """A key of the account `other`, made while the server runs."""
    return run("create", "--account", "other", "--label", "a label", data=palace.data)


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_a_key_made_while_the_server_runs_works_at_once(palace: Palace, other_key: str) -> None:
    assert re.fullmatch(r"palace_[0-9A-Za-z]{36}", other_key)
    with palace.client(other_key) as other:
        assert other.get("/v2/pals").status_code == 200


def test_keys_are_listed_without_being_shown(palace: Palace, other_key: str) -> None:
    listed = run("list", data=palace.data)
    assert other_key not in listed
    assert KEY not in listed
    assert "other" in listed
    assert "a label" in listed


def test_a_revoked_key_opens_nothing_from_now_on(palace: Palace) -> None:
    before = set(re.findall(r"\bk[0-9a-f]{10}\b", run("list", data=palace.data)))
    key = run("create", data=palace.data)
    after = set(re.findall(r"\bk[0-9a-f]{10}\b", run("list", data=palace.data)))
    (key_id,) = after - before
    with palace.client(key) as client:
        assert client.get("/v2/pals").status_code == 200
        assert key not in run("revoke", key_id, data=palace.data)
        if BACKEND == "postgres":  # Where a server is told of it, and that takes a moment.
            wait_until(lambda: client.get("/v2/pals").status_code == 401)
        details = refused(client.get("/v2/pals"), 401, "Invalid access token")
        assert "revoked" in details[0]["problem"]
    run("revoke", key_id, data=palace.data, succeeds=False)
    run("revoke", "k0000000000", data=palace.data, succeeds=False)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("key", [None, "", "unknown", KEY + "x", KEY.upper(), "x" * 5000, "palace_"])
def test_without_a_good_key_nothing_is_done(palace: Palace, method: str, key: str | None) -> None:
    path = "/v2/pals" if method == "POST" else "/v2/pals/pcb7a34da5fe"
    with palace.client(key=None) as client:
        headers = {} if key is None else {"x-api-key": key}
        refused(client.request(method, path, headers=headers), 401, "Invalid access token")


@pytest.mark.parametrize("header", ["authorization", "x-apikey", "api-key"])
def test_a_key_in_another_header_is_no_key(palace: Palace, header: str) -> None:
    with palace.client(key=None) as client:
        refused(client.get("/v2/pals", headers={header: f"Bearer {KEY}"}), 401, "Invalid access token")


def test_a_key_in_the_query_is_no_key(palace: Palace) -> None:
    with palace.client(key=None) as client:
        refused(client.get(f"/v2/pals?x-api-key={KEY}"), 401, "Invalid access token")
    assert KEY not in palace.log.read_text()


@pytest.mark.parametrize("key", ["schlüssel".encode("latin-1"), "schlüssel".encode(), b"\xff\xfe", b"a\tb"])
def test_a_key_of_odd_bytes_is_a_wrong_key(palace: Palace, key: bytes) -> None:
    with palace.client(key=None) as client:
        refused(client.get("/v2/pals", headers={b"x-api-key": key}), 401, "Invalid access token")


def test_a_mistyped_key_is_told_from_an_unknown_one(palace: Palace, other_key: str) -> None:
    swapped = other_key[:-1] + ("a" if other_key[-1] != "a" else "b")
    for key, word in ((swapped, "mistyped"), (other_key[:-2], "mistyped"), ("something-else", "no such key")):
        with palace.client(key) as client:
            details = refused(client.get("/v2/pals"), 401, "Invalid access token")
            assert word in details[0]["problem"]


# --- One account never sees another's objects -------------------------------------------------------------------------


def test_somebody_elses_pal_looks_like_one_that_does_not_exist(
    palace: Palace, other_key: str, new_pal: NewPal, api: httpx.Client
) -> None:
    pal = new_pal(layers={"conferencing": {"username": "not-yours"}})
    before = document(api, pal)
    with palace.client(other_key) as other:
        for id in (pal, "pdeadbeef000", "pcb7a34da5fe"):
            for answer in (
                other.get(f"/v2/pals/{id}"),
                patch(other, id, replace("/pal_name", "x")),
                patch(other, id),
                other.delete(f"/v2/pals/{id}"),
            ):
                details = refused(answer, 400, "Invalid pal_id")
                assert details == [{"code": "invalid_id", "problem": NO_SUCH_ID}]
        assert other.get("/v2/pals?pal_type=user").json() == {"data": [], "total_count": 0}
        listed = other.get("/v2/pals?limit=100").json()
        assert pal not in {item["pal_id"] for item in listed["data"]}
        assert listed["total_count"] == other.get("/v2/pals?pal_type=system").json()["total_count"]
    assert document(api, pal) == before


def test_a_username_is_unique_over_all_accounts(palace: Palace, other_key: str, new_pal: NewPal) -> None:
    new_pal(layers={"conferencing": {"username": "one-of-a-kind"}})
    body = {
        "system_prompt": "x",
        "default_face_id": STOCK_FACE,
        "layers": {"conferencing": {"username": "one-of-a-kind"}},
    }
    with palace.client(other_key) as other:
        refused(other.post("/v2/pals", json=body), 400)
        checked = other.get("/v2/pals/check-username?username=one-of-a-kind").json()
    assert checked == {"available": False, "reason": "Username is already taken."}


def test_stock_objects_are_everybodys_to_read_and_nobodys_to_change(palace: Palace, other_key: str) -> None:
    for key in (KEY, other_key):
        with palace.client(key) as client:
            assert client.get("/v2/pals/pb87e71797da").status_code == 200
            assert client.get(f"/v2/faces/{STOCK_FACE}?verbose=true").json()["face_type"] == "system"
            refused(patch(client, "pb87e71797da", replace("/pal_name", "x")), 400, "Invalid pal_id")
            refused(client.delete("/v2/pals/pb87e71797da"), 400, "Invalid pal_id")


# --- PALACE_API_KEY ---------------------------------------------------------------------------------------------------


def test_palace_api_key_makes_sure_that_this_key_exists(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", key="first-key-for-ci") as palace, palace.client("first-key-for-ci") as client:
        assert client.get("/v2/pals/pcb7a34da5fe").status_code == 200
        assert "first-key-for-ci" not in palace.greeting
    with start_palace(tmp_path / "data", key="second-key-for-ci") as palace:
        for key in ("first-key-for-ci", "second-key-for-ci"):
            with palace.client(key) as client:
                assert client.get("/v2/pals/pcb7a34da5fe").status_code == 200


def test_without_palace_api_key_the_first_start_makes_a_key_and_shows_it_once(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", key="") as palace:
        found = re.search(r"palace_[0-9A-Za-z]{36}", palace.greeting)
        assert found is not None
        with palace.client(found.group()) as client:
            assert client.get("/v2/pals").status_code == 200
    with start_palace(tmp_path / "data", key="") as palace, palace.client(found.group()) as client:
        assert found.group() not in palace.greeting
        assert client.get("/v2/pals").status_code == 200


@pytest.mark.parametrize("key", ["short", "with a blank in it", "palace_0123456789"])
def test_a_bad_palace_api_key_stops_the_start_without_being_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(AssertionError) as raised:
        start_palace(tmp_path / "data", key=key)
    log = (tmp_path / "data.log").read_text()
    assert "PALACE_API_KEY" in log
    assert key not in log
    assert "Traceback" not in str(raised.value)

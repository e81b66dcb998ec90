"""`Idempotency-Key`: what is sent twice is done once and answered twice."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import (
    MERGE_PATCH,
    REPLAYED,
    add,
    count,
    document,
    expect,
    greeted,
    is_replay,
    keyed,
    patch,
    preview,
    refused,
    replace,
    restore,
    revert,
    revisions,
    rollback,
)
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
FAMILIES = ["pals", "personas"]
NEW_PAL = {"system_prompt": "x", "default_face_id": STOCK_FACE}
COUNTER = itertools.count()


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"key-{next(COUNTER)}"


# --- Replays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pal_is_created_once(api: httpx.Client, key: str, family: str) -> None:
    before = count(api)
    body = NEW_PAL | {"layers": {"conferencing": {"username": f"Once-{family}"}}}
    first, *others = [api.post(f"/v2/{family}", json=body, headers=keyed(key)) for _ in range(3)]
    assert (first.status_code, count(api)) == (200, before + 1)
    assert "x-stored-differently" in first.headers
    assert all(is_replay(first, other) for other in others)
    pal = first.json()[f"{family[:-1]}_id"]
    assert [one["action"] for one in revisions(api, pal)] == ["create"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_patch_is_applied_once(api: httpx.Client, new_pal: NewPal, key: str, family: str) -> None:
    pal = new_pal(pal_name="n")
    append = [add("/document_tags/-", "t")]
    first, second = (patch(api, pal, *append, family=family, **keyed(key)) for _ in range(2))
    assert is_replay(first, second)
    assert f"{family[:-1]}_name" in second.json()
    greeted(api, pal, "later")
    third = patch(api, pal, *append, family=family, **keyed(key))
    assert is_replay(first, third)
    assert document(api, pal)["document_tags"] == ["t"]


WRITES: list[Any] = [
    pytest.param(lambda api, pal, **headers: rollback(api, pal, 1, **headers), 200, id="a rollback"),
    pytest.param(lambda api, pal, **headers: revert(api, pal, 2, **headers), 200, id="a revert"),
    pytest.param(lambda api, pal, **headers: patch(api, pal, **headers), 304, id="a patch that changes nothing"),
    pytest.param(lambda api, pal, **headers: api.delete(f"/v2/pals/{pal}", headers=headers), 204, id="a deletion"),
    pytest.param(
        lambda api, pal, **headers: api.patch(
            f"/v2/pals/{pal}", json={"context": "m"}, headers=headers | {"content-type": MERGE_PATCH}
        ),
        200,
        id="a merge patch",
    ),
]
Write = Callable[..., httpx.Response]


@pytest.mark.parametrize(("write", "status"), WRITES)
def test_every_write_is_carried_out_once(
    api: httpx.Client, new_pal: NewPal, key: str, write: Write, status: int
) -> None:
    pal = new_pal()
    greeted(api, pal, "x")
    first = write(api, pal, **keyed(key))
    assert first.status_code == status
    done = len(revisions(api, pal))
    assert is_replay(first, write(api, pal, **keyed(key)))
    assert len(revisions(api, pal)) == done


def test_a_pal_is_restored_once(api: httpx.Client, new_pal: NewPal, key: str) -> None:
    pal = new_pal()
    api.delete(f"/v2/pals/{pal}")
    first = restore(api, pal, **keyed(key))
    assert is_replay(first, restore(api, pal, **keyed(key)))
    api.delete(f"/v2/pals/{pal}")
    assert is_replay(first, restore(api, pal, **keyed(key)))
    refused(api.get(f"/v2/pals/{pal}"), 400)


REFUSALS: list[Any] = [
    pytest.param([replace("/greeting", 5)], {}, 400, id="a result that is no PAL"),
    pytest.param([expect("/greeting", "y")], {}, 422, id="a failed test"),
    pytest.param([{"op": "merge"}], {}, 422, id="a malformed patch"),
    pytest.param([replace("/greeting", "x")], {"if-match": '"0"'}, 412, id="a conflict"),
    pytest.param([replace("/greeting", "x")], {"if-match": "0"}, 400, id="a bad guard"),
]


@pytest.mark.parametrize(("operations", "headers", "status"), REFUSALS)
def test_a_refusal_is_repeated_although_it_would_work_by_now(
    api: httpx.Client, new_pal: NewPal, key: str, operations: list[Any], headers: dict[str, str], status: int
) -> None:
    pal = new_pal()
    first = patch(api, pal, *operations, **keyed(key, **headers))
    refused(first, status)
    greeted(api, pal, "y")
    second = patch(api, pal, *operations, **keyed(key, **headers))
    assert is_replay(first, second)
    assert second.json()["request_id"] == first.headers["x-request-id"]
    assert len(revisions(api, pal)) == 2


def test_a_replay_on_the_older_route_says_persona(api: httpx.Client, new_pal: NewPal, key: str) -> None:
    pal = new_pal()
    first = patch(api, pal, replace("/persona_name", 5), family="personas", **keyed(key))
    second = patch(api, pal, replace("/persona_name", 5), family="personas", **keyed(key))
    assert is_replay(first, second)
    assert second.json()["details"][0]["pointer"] == "/persona_name"


def test_a_page_of_another_origin_can_read_that_it_is_a_replay(api: httpx.Client, key: str) -> None:
    headers = keyed(key, origin="https://app.example.org")
    first, second = (api.post("/v2/pals", json=NEW_PAL, headers=headers) for _ in range(2))
    assert is_replay(first, second)
    assert REPLAYED in second.headers["access-control-expose-headers"].lower()


# --- Not the same request ---------------------------------------------------------------------------------------------

ONE = [replace("/greeting", "one")]
OTHERS: list[Any] = [
    pytest.param({"json": [replace("/greeting", "two")]}, id="another body"),
    pytest.param({"json": []}, id="an empty patch"),
    pytest.param({"json": ONE, "params": {"comment": "c"}}, id="another query"),
    pytest.param({"json": ONE, "path": "personas"}, id="the other family"),
    pytest.param({"json": ONE, "path": "another"}, id="another PAL"),
    pytest.param({"method": "DELETE"}, id="another method"),
    pytest.param({"json": ONE, "headers": {"if-match": "*"}}, id="another guard"),
    pytest.param({"json": ONE, "headers": {"prefer": "return=representation"}}, id="another wish"),
    pytest.param({"json": ONE, "headers": {"x-comment": "c"}}, id="another comment"),
    pytest.param({"json": {"greeting": "one"}, "headers": {"content-type": MERGE_PATCH}}, id="another kind of patch"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_request_under_a_key_is_refused_and_not_carried_out(
    api: httpx.Client, new_pal: NewPal, key: str, other: dict[str, Any]
) -> None:
    pal, another = new_pal(), new_pal()
    first = patch(api, pal, *ONE, **keyed(key))
    paths = {"personas": f"/v2/personas/{pal}", "another": f"/v2/pals/{another}"}
    request = {"method": "PATCH", "headers": {}} | other
    path = paths.get(request.pop("path", ""), f"/v2/pals/{pal}")
    answer = api.request(url=path, **request | {"headers": keyed(key, **request["headers"])})
    assert [detail["code"] for detail in refused(answer, 422)] == ["idempotency_key_reused"]
    assert REPLAYED not in answer.headers
    assert (len(revisions(api, pal)), len(revisions(api, another))) == (2, 1)
    assert is_replay(first, patch(api, pal, *ONE, **keyed(key)))


def test_what_does_not_say_what_is_wanted_makes_no_other_request(api: httpx.Client, key: str, new_pal: NewPal) -> None:
    pal = new_pal()
    first = patch(api, pal, *ONE, **keyed(key))
    for path, headers in ((f"/v2/pals/{pal}/", {}), (f"/v2/pals/{pal}", {"user-agent": "x", "x-request-id": "y"})):
        assert is_replay(first, api.patch(path, json=ONE, headers=keyed(key, **headers)))


def test_another_account_has_keys_of_its_own(api: httpx.Client, neighbour: httpx.Client, key: str) -> None:
    mine, theirs = (client.post("/v2/pals", json=NEW_PAL, headers=keyed(key)) for client in (api, neighbour))
    assert mine.json()["pal_id"] != theirs.json()["pal_id"]
    for client, first in ((api, mine), (neighbour, theirs)):
        assert is_replay(first, client.post("/v2/pals", json=NEW_PAL, headers=keyed(key)))
    for client in (api, neighbour):
        refused(client.post("/v2/pals", json=NEW_PAL | {"context": "x"}, headers=keyed(key)), 422)


def test_a_preview_neither_takes_nor_uses_a_key(api: httpx.Client, new_pal: NewPal, key: str) -> None:
    pal = new_pal()
    path = f"/v2/pals/{pal}"
    assert preview(api, "PATCH", path, json=ONE, headers=keyed(key))["changed"] is True
    refused(api.patch(f"{path}?dry_run", json=[replace("/greeting", 5)], headers=keyed(key)), 400)
    first = patch(api, pal, *ONE, **keyed(key))
    assert (first.status_code, first.json()["greeting"]) == (200, "one")
    answer = api.patch(f"{path}?dry_run=true", json=ONE, headers=keyed(key))
    assert (answer.json()["changed"], REPLAYED in answer.headers) == (False, False)
    assert is_replay(first, patch(api, pal, *ONE, **keyed(key)))


def test_what_was_refused_before_anything_was_looked_at_takes_no_key(api: httpx.Client, new_pal: NewPal) -> None:
    pal, path = new_pal(), "/v2/pals"
    bad: list[tuple[str, dict[str, Any]]] = [
        ("no-key", {"headers": {"x-api-key": "wrong"}, "json": NEW_PAL}),
        ("no-json", {"content": b"{", "headers": {"content-type": "application/json"}}),
        ("no-media", {"content": b"x", "headers": {"content-type": "text/plain"}}),
        ("no-room", {"content": b" " * (2 << 20), "headers": {"content-type": "application/json"}}),
        ("no-comment", {"json": NEW_PAL, "headers": {"x-comment": "a%0ab"}}),
    ]
    for name, request in bad:
        key = f"{pal}-{name}"
        answer = api.post(path, **request | {"headers": keyed(key, **request["headers"])})
        assert answer.status_code in (400, 401, 413, 415)
        assert api.post(path, json=NEW_PAL, headers=keyed(key)).status_code == 200


MALFORMED = ["", "a b", "a\tb", "x" * 256, "schlüssel".encode(), b"\xff"]


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_key_is_refused_and_nothing_done(api: httpx.Client, new_pal: NewPal, malformed: Any) -> None:
    pal = new_pal()
    answer = api.patch(f"/v2/pals/{pal}", json=ONE, headers={"idempotency-key": malformed})
    assert [detail["code"] for detail in refused(answer, 400)] == ["invalid_idempotency_key"]
    assert len(revisions(api, pal)) == 1


@pytest.mark.parametrize("shape", ["{}", '"{}"', "{}" + "~" * 240, "!#$%&'*+-.^_`|{}~:;,<>?/@[]()=\\"])
def test_any_visible_ascii_is_a_key(api: httpx.Client, new_pal: NewPal, shape: str, key: str) -> None:
    pal, key = new_pal(), shape.replace("{}", key)
    assert is_replay(patch(api, pal, *ONE, **keyed(key)), patch(api, pal, *ONE, **keyed(key)))


def test_a_key_on_a_read_means_nothing(api: httpx.Client, new_pal: NewPal, key: str) -> None:
    pal = new_pal()
    assert api.get(f"/v2/pals/{pal}", headers=keyed(key)).status_code == 200
    assert REPLAYED not in api.get(f"/v2/pals/{pal}", headers=keyed(key)).headers
    assert patch(api, pal, *ONE, **keyed(key)).status_code == 200

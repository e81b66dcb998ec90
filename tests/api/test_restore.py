"""A deleted PAL can be brought back as it was, and whatever goes back belongs to its own account."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.api.wire import (
    NO_SUCH_ID,
    add,
    document,
    etag,
    greeted,
    is_stored,
    patch,
    refused,
    replace,
    restore,
    revert,
    revision,
    revisions,
    rollback,
)
from tests.rows import change
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
STOCK_PAL = "pb87e71797da"
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-first"}
TAKEN = "Username is already taken."


def is_available(api: httpx.Client, username: str) -> bool:
    answer: bool = api.get("/v2/pals/check-username", params={"username": username}).json()["available"]
    return answer


def test_a_deleted_pal_comes_back_as_it_was(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM, "stt": {}})
    add_name = add("/layers/conferencing", {"username": "desk-back"})
    assert patch(api, pal, add_name).status_code == 200
    before, tag, total = document(api, pal), etag(api, pal), api.get("/v2/pals").json()["total_count"]
    assert api.delete(f"/v2/pals/{pal}").status_code == 204
    assert is_available(api, "desk-back")
    for answer in (api.get(f"/v2/pals/{pal}"), patch(api, pal), rollback(api, pal, 1), revert(api, pal, 2),
                   api.delete(f"/v2/pals/{pal}")):  # fmt: skip
        refused(answer, 400, "Invalid pal_id")
    listed = api.get("/v2/pals?sort=desc").json()
    assert (pal in [one["pal_id"] for one in listed["data"]], listed["total_count"]) == (False, total - 1)
    answer = restore(api, pal)
    assert (answer.status_code, answer.headers["etag"], answer.headers["x-revision"]) == (200, tag, "4")
    assert answer.json() == document(api, pal) == before | {"updated_at": answer.json()["updated_at"]}
    assert not is_available(api, "desk-back")
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-first")
    listed = api.get("/v2/pals?sort=desc").json()
    assert (pal in [one["pal_id"] for one in listed["data"]], listed["total_count"]) == (True, total)


def test_the_history_of_a_deleted_pal_can_be_read(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one")
    greeted(api, pal, "two")
    before = document(api, pal)
    api.delete(f"/v2/pals/{pal}?comment=no+longer+needed")
    newest, *_ = revisions(api, pal)
    assert (newest["revision"], newest["action"], newest["touched"]) == (3, "delete", [""])
    assert newest["comment"] == "no longer needed"
    assert revision(api, pal, 2)["document"] == before
    assert revision(api, pal, 3)["document"] == before | {"updated_at": newest["created_at"]}
    assert api.get(f"/v2/pals/{pal}/diff?from=1&to=2").json()["changes"][0]["pointer"] == "/greeting"
    assert restore(api, pal).status_code == 200
    assert [one["action"] for one in revisions(api, pal)] == ["restore", "delete", "patch", "create"]
    assert rollback(api, pal, 3).status_code == 304
    assert revert(api, pal, 2).json()["greeting"] == "one"


def test_taking_back_a_deletion_or_a_restoration_changes_nothing(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    api.delete(f"/v2/pals/{pal}")
    restore(api, pal)
    assert [revert(api, pal, number).status_code for number in (2, 3)] == [304, 304]


def test_a_pal_that_is_not_deleted_cannot_be_restored(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    assert [detail["code"] for detail in refused(restore(api, pal), 400)] == ["not_deleted"]
    api.delete(f"/v2/pals/{pal}")
    assert restore(api, pal).status_code == 200
    assert [detail["code"] for detail in refused(restore(api, pal), 400)] == ["not_deleted"]
    refused(restore(api, "pdeadbeef000"), 400, "Invalid pal_id")


def test_a_name_that_somebody_took_keeps_a_pal_deleted(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conferencing": {"username": "desk-gone"}})
    api.delete(f"/v2/pals/{pal}")
    thief = new_pal(layers={"conferencing": {"username": "desk-gone"}})
    assert [detail["problem"] for detail in refused(restore(api, pal), 400)] == [TAKEN]
    refused(api.get(f"/v2/pals/{pal}"), 400)
    api.delete(f"/v2/pals/{thief}")
    assert restore(api, pal).status_code == 200
    refused(restore(api, thief), 400)


def test_nobody_else_and_no_stock_pal_goes_back(api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal) -> None:
    pal, deleted = new_pal(), new_pal()
    greeted(api, pal, "x")
    api.delete(f"/v2/pals/{deleted}")
    for id in (pal, deleted, "pdeadbeef000"):
        for answer in (rollback(neighbour, id, 1), revert(neighbour, id, 2), restore(neighbour, id),
                       neighbour.get(f"/v2/pals/{id}/revisions")):  # fmt: skip
            assert refused(answer, 400, "Invalid pal_id") == [{"code": "invalid_id", "problem": NO_SUCH_ID}]
    for answer in (rollback(api, STOCK_PAL, 1), revert(api, STOCK_PAL, 1), restore(api, STOCK_PAL)):
        assert [detail["code"] for detail in refused(answer, 400, "Invalid pal_id")] == ["stock_object"]


def test_going_back_speaks_the_words_of_its_route(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    patch(api, pal, replace("/pal_name", "x"))
    path = f"/v2/personas/{pal}"
    assert api.post(f"{path}/rollback", json={"to": 1}).json()["persona_name"] == "Night Desk"
    assert api.post(f"{path}/rollback", json={"to": 1}).headers["x-message"].endswith("to the persona")
    assert api.post(f"{path}/revisions/3/revert").json()["persona_name"] == "x"
    patch(api, pal, replace("/pal_name", "y"))
    assert [one["pointer"] for one in refused(api.post(f"{path}/revisions/2/revert"), 409)] == ["/persona_name"]
    api.delete(path)
    assert api.post(f"{path}/restore").json()["persona_name"] == "y"
    refused(api.post("/v2/personas/p0/rollback", json={"to": 1}), 400, "Invalid persona_id")


LONG_AGO = "2020-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("days", "deleted_at", "status"), [("0", None, 400), ("30", LONG_AGO, 400), ("100000", LONG_AGO, 200)]
)
def test_a_pal_can_be_restored_for_as_many_days_as_the_server_is_told(
    tmp_path: Path, days: str, deleted_at: str | None, status: int
) -> None:
    data = tmp_path / "data"
    with start_palace(data, PALACE_RESTORE_DAYS=days) as palace, palace.client() as api:
        pal = api.post("/v2/pals", json={"system_prompt": "x", "default_face_id": STOCK_FACE}).json()["pal_id"]
        assert api.delete(f"/v2/pals/{pal}").status_code == 204
    if deleted_at:
        change(data, "UPDATE documents SET deleted_at = ? WHERE id = ?", deleted_at, pal)
    with start_palace(data, PALACE_RESTORE_DAYS=days) as palace, palace.client() as api:
        assert api.get(f"/v2/pals/{pal}/revisions").status_code == status
        assert restore(api, pal).status_code == status
        assert api.get(f"/v2/pals/{pal}").status_code == status

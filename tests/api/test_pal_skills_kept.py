"""The skills of a PAL, edited safely: guarded, previewed, undone, and gone and back with their PAL."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from palace import forgetting
from palace.app import open_services
from palace.call import Account, Call
from palace.clock import Clock
from palace.resources import PAL, PAL_SKILLS
from palace.settings import Settings
from palace.vocabulary import Words
from tests.api.attaching import attached, configure, history, path, put
from tests.api.wire import keyed, preview, refused, restore
from tests.serving import STOCK_FACE, database_of

NewPal = Callable[..., str]


# --- Safe edits -------------------------------------------------------------------------------------------------------


def test_a_preview_changes_nothing(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = preview(api, "PUT", path(pal, "memory"), json={"config": {"a": 1}})
    assert (said["changed"], said["document"]["skills"]["memory"]["config"]) == (True, {"a": 1})
    assert attached(api, pal) == {}
    put(api, pal, "memory", {"a": 1})
    said = preview(api, "PATCH", path(pal, "memory", "personas"), json={"config": {"a": 2}})
    assert said["document"]["persona_id"] == pal
    assert "/skills/memory/config/a" in said["touched"]
    assert preview(api, "DELETE", path(pal, "memory"))["touched"] == ["/skills/memory"]
    assert attached(api, pal)["memory"]["config"] == {"a": 1}


def test_a_write_is_guarded_by_the_etag_of_all_skills(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    (detail,) = refused(put(api, pal, "memory", **{"if-match": '"x"'}), 412)
    assert detail["code"] == "unknown_etag"
    tag = put(api, pal, "memory", {"a": 1}).headers["etag"]
    assert api.get(path(pal)).headers["etag"] == api.get(path(pal, "memory")).headers["etag"] == tag
    assert api.get(path(pal), headers={"if-none-match": tag}).status_code == 304
    assert put(api, pal, "internet_search").headers["etag"] != tag
    details = refused(configure(api, pal, "memory", {"a": 2}, **{"if-match": tag}), 412)
    assert [detail["pointer"] for detail in details] == ["/skills/internet_search"]
    fresh = api.get(path(pal)).headers["etag"]
    assert configure(api, pal, "memory", {"a": 2}, **{"if-match": fresh}).headers["x-revision"] == "3"


def test_a_write_under_an_idempotency_key_happens_once(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    first = put(api, pal, "memory", {"a": 1}, **keyed(f"skills-{pal}"))
    configure(api, pal, "memory", {"a": 2})
    again = put(api, pal, "memory", {"a": 1}, **keyed(f"skills-{pal}"))
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert attached(api, pal)["memory"]["config"] == {"a": 2}


def test_every_change_is_in_the_history_of_the_skills_and_can_be_undone(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    refused(api.get(f"/v2/pals/{pal}/skills-history/revisions"), 404)
    put(api, pal, "memory", {"a": 1}, **{"x-comment": "Guests come back."})
    configure(api, pal, "memory", {"a": 2})
    put(api, pal, "internet_search")
    api.put(path(pal), json={"skills": {"magic_canvas": {}}})
    api.delete(path(pal, "magic_canvas"))
    listed = history(api, pal)
    assert [one["action"] for one in listed] == ["detach", "replace", "attach", "patch", "create"]
    assert listed[-1]["comment"] == "Guests come back."
    assert listed[-2]["touched"] == ["/skills/memory/config/a", "/skills/memory/updated_at"]
    base = f"/v2/pals/{pal}/skills-history"
    assert api.get(f"{base}/revisions/3").json()["document"]["skills"].keys() == {"memory", "internet_search"}
    assert {one["pointer"] for one in api.get(f"{base}/diff?from=1&to=2").json()["changes"]} == set(
        listed[-2]["touched"]
    )
    assert api.post(f"{base}/rollback", json={"to": 3}).status_code == 200
    assert attached(api, pal).keys() == {"memory", "internet_search"}
    assert api.post(f"{base}/revisions/3/revert").status_code == 200
    assert attached(api, pal).keys() == {"memory"}


# --- With their PAL ---------------------------------------------------------------------------------------------------


def test_skills_go_and_come_back_with_their_pal(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = put(api, pal, "memory", {"a": 1}).json()
    effects = [{"kind": "pal_skills", "id": pal, "what": "deleted"}]
    assert preview(api, "DELETE", f"/v2/pals/{pal}")["effects"] == effects
    assert attached(api, pal) == {"memory": said}
    assert api.delete(f"/v2/pals/{pal}").status_code == 204
    refused(api.get(path(pal)), 400, "PAL not found")
    refused(put(api, pal, "memory"), 400, "PAL not found")
    assert [one["action"] for one in history(api, pal)] == ["delete", "create"]
    assert restore(api, pal).status_code == 200
    assert attached(api, pal) == {"memory": said}
    assert [one["action"] for one in history(api, pal)] == ["restore", "delete", "create"]
    assert configure(api, pal, "memory", {"a": 2}).status_code == 200


def test_a_pal_without_skills_goes_and_comes_back_without_them(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    assert preview(api, "DELETE", f"/v2/pals/{pal}")["effects"] == []
    api.delete(f"/v2/pals/{pal}")
    assert restore(api, pal).status_code == 200
    assert attached(api, pal) == {}


def test_skills_are_forgotten_with_their_pal(tmp_path: Path) -> None:
    handlers = {
        one.operation_id: (resource, one.handler) for resource in (PAL, PAL_SKILLS) for one in resource.endpoints
    }

    async def forgotten() -> tuple[Any, Any]:
        services = await open_services(
            Settings(data=tmp_path, database=database_of(tmp_path).get("PALACE_DATABASE", ""))
        )
        call = Call(Account(1, "k1"), Words(is_legacy=True), body={"pal_name": "x", "system_prompt": "x"})

        async def send(operation: str, **changes: Any) -> Any:
            resource, handler = handlers[operation]
            return await handler(resource, replace(call, **changes), services)

        receipt = await send("createPal")
        ids = {"id": receipt.document.decode().split('"')[3], "skill_id": "memory"}
        await send("attachPalSkill", ids=ids, body=None)
        await send("deletePal", ids=ids)
        before = await services.store.reading.get_with_deleted("pal_skills", ids["id"], 1)
        in_a_year = Clock(services.clock.now() + timedelta(days=365))
        await forgetting.forget_documents(replace(services, clock=in_a_year))
        after = await services.store.reading.get_with_deleted("pal_skills", ids["id"], 1)
        await services.store.close()
        return before, after

    before, after = asyncio.run(forgotten())
    assert before is not None
    assert after is None


def test_a_new_pal_needs_a_face_and_no_skills(api: httpx.Client) -> None:
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE, "skills": {"memory": {}}}
    (detail,) = refused(api.post("/v2/pals", json=body), 400)
    assert (detail["pointer"], detail["code"]) == ("/skills", "unknown_field")

"""The skills that a PAL has: attached, configured, detached, replaced."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.attaching import SLIDES, attached, configure, history, path, put
from tests.api.wire import document, patch, refused, replace, revisions

NewPal = Callable[..., str]
STOCK_PAL = "pb87e71797da"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


# --- Attach and look --------------------------------------------------------------------------------------------------


def test_a_pal_has_no_skills_at_first(api: httpx.Client, new_pal: NewPal) -> None:
    assert attached(api, new_pal()) == attached(api, STOCK_PAL) == {}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"config": {}}', b"null"])
def test_a_skill_without_a_configuration_needs_no_body(api: httpx.Client, new_pal: NewPal, body: bytes) -> None:
    pal = new_pal()
    headers = {"content-type": "application/json"}
    answer = api.put(path(pal, "internet_search"), content=body, headers=headers)
    said = answer.json()
    assert answer.status_code == 200
    assert set(said) == {"skill_id", "config", "attached_at", "updated_at"}
    assert (said["skill_id"], said["config"]) == ("internet_search", {})
    assert said["attached_at"] == said["updated_at"]
    assert TIME.fullmatch(said["attached_at"])
    assert attached(api, pal) == {"internet_search": said}
    assert api.get(path(pal, "internet_search")).json() == said


def test_both_forms_of_a_path_and_both_families_are_the_same_skills(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = api.put(path(pal, "memory/", "personas"), json={"config": {"pal_id": 1, "persona_id": 2}}).json()
    assert said["config"] == {"pal_id": 1, "persona_id": 2}
    for family in ("pals", "personas"):
        assert api.get(path(pal, family=family) + "/").json() == {"data": {"memory": said}}
        assert api.get(path(pal, "memory/", family)).json() == said


def test_another_configuration_keeps_the_time_of_attaching(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    first = put(api, pal, "presentation", SLIDES).json()
    second = put(api, pal, "presentation", {**SLIDES, "prompt": "Be quick."}).json()
    assert second["config"] == {**SLIDES, "prompt": "Be quick."}
    assert second["attached_at"] == first["attached_at"] < second["updated_at"]
    assert put(api, pal, "presentation", {**SLIDES, "prompt": "Be quick."}).json() == second
    assert len(history(api, pal)) == 2


def test_what_is_left_out_is_stored_with_its_default(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = put(api, pal, "presentation", {"document_ids": ["d1"]}).json()
    assert said["config"] == {"document_ids": ["d1"], "slides_trigger": "on_demand"}


def test_patching_the_pal_leaves_its_skills_alone(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = put(api, pal, "memory").json()
    patch(api, pal, replace("/greeting", "Hello"), replace("/layers", {}))
    assert attached(api, pal) == {"memory": said}
    assert len(revisions(api, pal)) == 2
    assert "skills" not in document(api, pal)


# --- Configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skill", "config"),
    [
        pytest.param("memory", {"anything": [1, {"a": None}]}, id="memory takes any object"),
        pytest.param("magic_canvas", {}, id="a canvas with all defaults"),
        pytest.param("magic_canvas", {"components": {"chart": {"enabled": False}, "video": {}}}, id="less of it"),
        pytest.param(
            "magic_canvas",
            {"components": {"scheduling_embed": {"provider": "calendly", "scheduling_url": "https://c.example/x"}}},
            id="scheduling",
        ),
        pytest.param(
            "magic_canvas",
            {"scheduling": True, "scheduling_provider": "calendly", "scheduling_booking_link": "https://c.example/x"},
            id="scheduling as older clients write it",
        ),
        pytest.param("magic_canvas", {"components": {"scheduling": True}}, id="the same among the components"),
        pytest.param("magic_canvas", {"usage_guidance": "Show prices."}, id="guidance"),
        pytest.param("presentation", {**SLIDES, "prompt": ""}, id="slides"),
    ],
)
def test_a_configuration_that_fits_is_kept_as_it_was_sent(
    api: httpx.Client, new_pal: NewPal, skill: str, config: dict[str, Any]
) -> None:
    assert put(api, new_pal(), skill, config).json()["config"] == config


@pytest.mark.parametrize(
    ("skill", "config", "sentence", "places"),
    [
        pytest.param(
            "presentation", {}, "Bad Request: {'document_ids': ['Missing data for required field.']}",
            {"/config/document_ids": "missing"}, id="documents are missing",
        ),
        pytest.param(
            "presentation", {"document_ids": []},
            "Bad Request: {'document_ids': ['Shorter than minimum length 1.']}",
            {"/config/document_ids": "too_short"}, id="no documents",
        ),
        pytest.param(
            "presentation", {"document_ids": ["d1", 2], "slides_trigger": "never", "pages": 1}, None,
            {"/config/document_ids/1": "wrong_type", "/config/slides_trigger": "not_allowed",
             "/config/pages": "unknown_field"}, id="everything at once",
        ),
        pytest.param(
            "internet_search", {"engine": "x"}, "Bad Request: {'engine': ['Unknown field.']}",
            {"/config/engine": "unknown_field"}, id="no configuration at all",
        ),
        pytest.param(
            "magic_canvas", {"components": {"map": {}}}, "Bad Request: {'components': {'map': ['Unknown field.']}}",
            {"/config/components/map": "unknown_field"}, id="no such component",
        ),
        pytest.param(
            "magic_canvas", {"components": {"chart": {"enabled": "no"}, "text": {"size": 1}}}, None,
            {"/config/components/chart/enabled": "wrong_type", "/config/components/text/size": "unknown_field"},
            id="no such member of a component",
        ),
        pytest.param(
            "magic_canvas", {"components": {"scheduling_embed": {"provider": "outlook"}}}, None,
            {"/config/components/scheduling_embed/provider": "not_allowed"}, id="another calendar",
        ),
    ],
)  # fmt: skip
def test_a_configuration_that_does_not_fit_is_refused(
    api: httpx.Client,
    new_pal: NewPal,
    skill: str,
    config: dict[str, Any],
    sentence: str | None,
    places: dict[str, str],
) -> None:
    pal = new_pal()
    details = refused(put(api, pal, skill, config), 400, sentence)
    assert {detail["pointer"]: detail["code"] for detail in details} == places
    assert attached(api, pal) == {}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param([], "", id="an array"),
        pytest.param([{"op": "add", "path": "/config", "value": {}}], "", id="a JSON Patch"),
        pytest.param({"config": []}, "/config", id="a configuration that is none"),
        pytest.param({"config": None}, "/config", id="null"),
        pytest.param({"config": {}, "skill_id": "memory"}, "/skill_id", id="another member"),
    ],
)
def test_a_body_that_is_none_is_refused(
    api: httpx.Client, new_pal: NewPal, method: str, body: Any, pointer: str
) -> None:
    (detail,) = refused(api.request(method, path(new_pal(), "memory"), json=body), 400)
    assert detail["pointer"] == pointer


# --- Change a configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="one more member"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null takes one away"),
        pytest.param({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3}}, id="a member is replaced as a whole"),
        pytest.param({"a": None}, {"b": 1}, {"a": None, "b": 1}, id="a stored null stays"),
    ],
)
def test_a_change_replaces_the_members_that_are_sent(
    api: httpx.Client, new_pal: NewPal, before: Any, sent: Any, after: Any
) -> None:
    pal = new_pal()
    first = put(api, pal, "memory", before).json()
    second = configure(api, pal, "memory", sent).json()
    assert second["config"] == api.get(path(pal, "memory")).json()["config"] == after
    assert second["attached_at"] == first["attached_at"] < second["updated_at"]


def test_the_components_of_a_canvas_are_replaced_as_a_whole(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    put(api, pal, "magic_canvas", {"usage_guidance": "x", "components": {"chart": {"enabled": False}}})
    said = configure(api, pal, "magic_canvas", {"components": {"alert": {"enabled": False}}}).json()
    assert said["config"] == {"usage_guidance": "x", "components": {"alert": {"enabled": False}}}


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"document_ids": ["d1"]}, id="what it says"),
        pytest.param({"prompt": None}, id="the absence of what is absent"),
        pytest.param({"slides_trigger": None}, id="the default in its place"),
    ],
)
def test_a_change_of_nothing_is_304(api: httpx.Client, new_pal: NewPal, sent: Any) -> None:
    pal = new_pal()
    said = put(api, pal, "presentation", {"document_ids": ["d1"]}).json()
    answer = configure(api, pal, "presentation", sent)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["x-message"] == "No changes were made to the PAL skills"
    legacy = api.patch(path(pal, "presentation", "personas"), json={"config": sent})
    assert legacy.headers["x-message"] == "No changes were made to the persona skills"
    wanted = configure(api, pal, "presentation", sent, prefer="return=representation")
    assert (wanted.status_code, wanted.json()) == (200, said)


def test_a_changed_configuration_is_judged_as_a_whole(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    said = put(api, pal, "presentation", SLIDES).json()
    (detail,) = refused(configure(api, pal, "presentation", {"document_ids": None, "prompt": "x"}), 400)
    assert (detail["pointer"], detail["code"]) == ("/config/document_ids", "missing")
    sentence = "Bad Request. {'config': ['Missing data for required field.']}"
    refused(api.patch(path(pal, "presentation"), json={}), 400, sentence)
    assert attached(api, pal) == {"presentation": said}


# --- What is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "sentence", "code"),
    [
        ("PUT", "Unknown skill 'my_skill'", "unknown_skill"),
        ("PATCH", "Unknown skill 'my_skill'", "unknown_skill"),
        ("GET", "Skill not attached to this PAL", "skill_not_attached"),
        ("DELETE", "Skill not attached to this PAL", "skill_not_attached"),
    ],
)
def test_an_unknown_skill_is_404(api: httpx.Client, new_pal: NewPal, method: str, sentence: str, code: str) -> None:
    body = {} if method in ("GET", "DELETE") else {"json": {"config": {}}}
    (detail,) = refused(api.request(method, path(new_pal(), "my_skill"), **body), 404, sentence)
    assert detail["code"] == code


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_skill_that_is_not_attached_is_404(api: httpx.Client, new_pal: NewPal, method: str) -> None:
    body = {"json": {"config": {}}} if method == "PATCH" else {}
    pal = new_pal()
    put(api, pal, "memory")
    (detail,) = refused(
        api.request(method, path(pal, "internet_search"), **body), 404, "Skill not attached to this PAL"
    )
    assert detail["code"] == "skill_not_attached"


def test_browser_use_cannot_be_attached_until_it_is_switched_on(api: httpx.Client, new_pal: NewPal) -> None:
    refused(put(api, new_pal(), "browser_use"), 404, "Unknown skill 'browser_use'")


OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", "", None), ("PUT", "", {"skills": {}}), ("GET", "/memory", None), ("PUT", "/memory", {}),
    ("PATCH", "/memory", {"config": {}}), ("DELETE", "/memory", None), ("GET", "-history/revisions", None),
    ("POST", "-history/rollback", {"to": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "rest", "body"), OPERATIONS)
def test_a_pal_that_is_unknown_or_not_yours_is_not_found(
    api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal, method: str, rest: str, body: Any
) -> None:
    pal = new_pal()
    put(api, pal, "memory")
    content = {} if body is None else {"json": body}
    for id in (pal, "pdeadbeef000"):
        refused(neighbour.request(method, path(id) + rest, **content), 400, "PAL not found")


@pytest.mark.parametrize(("method", "rest", "body"), [one for one in OPERATIONS[:6] if one[0] != "GET"])
def test_a_stock_pal_keeps_what_it_has(api: httpx.Client, method: str, rest: str, body: Any) -> None:
    content = {} if body is None else {"json": body}
    (detail,) = refused(api.request(method, path(STOCK_PAL) + rest, **content), 400, "PAL not found")
    assert detail["code"] == "stock_object"


# --- Detach, and all at once ------------------------------------------------------------------------------------------


def test_a_detached_skill_is_gone_and_can_be_attached_again(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    first, other = put(api, pal, "memory", {"a": 1}).json(), put(api, pal, "internet_search").json()
    answer = api.delete(path(pal, "memory"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert attached(api, pal) == {"internet_search": other}
    again = put(api, pal, "memory").json()
    assert again["config"] == {}
    assert again["attached_at"] > first["attached_at"]


def test_all_skills_are_replaced_at_once(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    memory, _ = put(api, pal, "memory", {"a": 1}).json(), put(api, pal, "internet_search").json()
    slides = put(api, pal, "presentation", SLIDES).json()
    body = {"skills": {"memory": {"config": {"a": 1}}, "presentation": {"config": {"document_ids": ["d2"]}}}}
    answer = api.put(path(pal), json={"skills": {**body["skills"], "magic_canvas": {}}})
    said = answer.json()["data"]
    assert answer.status_code == 200
    assert list(said) == ["memory", "presentation", "magic_canvas"]
    assert said == attached(api, pal)
    assert said["memory"] == memory
    assert said["presentation"]["config"] == {"document_ids": ["d2"], "slides_trigger": "on_demand"}
    assert said["presentation"]["attached_at"] == slides["attached_at"]
    assert said["magic_canvas"]["config"] == {}
    assert len(history(api, pal)) == 4
    assert api.put(path(pal), json={"skills": {**body["skills"], "magic_canvas": {}}}).json()["data"] == said
    assert len(history(api, pal)) == 4
    assert api.put(path(pal), json={"skills": {}}).json() == {"data": {}}


@pytest.mark.parametrize(
    ("body", "status", "sentence", "pointers"),
    [
        pytest.param({}, 400, "Bad Request. {'skills': ['Missing data for required field.']}", ["/skills"], id="none"),
        pytest.param({"skills": []}, 400, None, ["/skills"], id="a list"),
        pytest.param({"skills": {"memory": []}}, 400, None, ["/skills/memory"], id="no object"),
        pytest.param({"skills": {"memory": None}}, 400, None, ["/skills/memory"], id="null"),
        pytest.param({"skills": {"memory": {"a": 1}}}, 400, None, ["/skills/memory/a"], id="not a configuration"),
        pytest.param(
            {"skills": {"presentation": {}, "internet_search": {"config": {"x": 1}}}}, 400,
            "Bad Request: {'presentation': {'document_ids': ['Missing data for required field.']}, "
            "'internet_search': {'x': ['Unknown field.']}}",
            ["/skills/presentation/config/document_ids", "/skills/internet_search/config/x"], id="do not fit",
        ),
        pytest.param({"skills": {"a": {}, "memory": {}, "b": {}}}, 404, "Unknown skill 'a'", [None, None], id="who"),
    ],
)  # fmt: skip
def test_all_or_none_are_replace(
    api: httpx.Client, new_pal: NewPal, body: Any, status: int, sentence: str | None, pointers: list[str | None]
) -> None:
    pal = new_pal()
    said = put(api, pal, "internet_search").json()
    details = refused(api.put(path(pal), json=body), status, sentence)
    assert [detail.get("pointer") for detail in details] == pointers
    assert attached(api, pal) == {"internet_search": said}

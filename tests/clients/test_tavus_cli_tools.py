"""`tavus-cli`, as it is published: tools and skills, and attaching them to a PAL."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.clients.apart import CommandLine

NewPal = Callable[..., str]
CALENDAR = {"components": {"calendar": {"enabled": False}}, "usage_guidance": "Show rates as a chart."}


def made(tavus: CommandLine, name: str, example: str = "app_message") -> dict[str, Any]:
    """A new tool, made from one of the command line's own examples."""
    body = {**tavus("tool", "example", "--delivery", example), "name": name}
    answer: dict[str, Any] = tavus("tool", "create", "--file", tavus.file(body))
    return answer


@pytest.mark.parametrize(
    ("example", "name"), [("app_message", "cli_app"), ("http", "cli_http"), ("http_oauth2", "cli_oauth")]
)
def test_every_example_that_it_prints_makes_a_tool(tavus: CommandLine, example: str, name: str) -> None:
    tool = made(tavus, name, example)
    assert tavus("tool", "get", tool["tool_id"]) == tool
    assert (tool["name"], tool["is_system_tool"], tool["origin"]) == (name, False, "llm")
    assert bool(tool["delivery"]["api"]) == (example != "app_message")
    tavus("tool", "delete", tool["tool_id"])


def test_secrets_come_back_masked_and_are_kept_when_they_are_left_out(tavus: CommandLine) -> None:
    tool = made(tavus, "cli_secret", "http")
    assert tool["delivery"]["api"]["auth"] == {"type": "bearer", "token": "********"}
    patched = tavus("tool", "patch", tool["tool_id"], "--file", tavus.file({"description": "Weather, anywhere."}))
    assert patched["description"] == "Weather, anywhere."
    assert patched["delivery"] == tool["delivery"]


def test_patch_replaces_what_it_names_and_nothing_else(tavus: CommandLine) -> None:
    tool = made(tavus, "cli_patch")
    patched = tavus("tool", "patch", tool["tool_id"], "--file", tavus.file({"name": "cli_patched"}))
    changed = {name for name in tool if tool[name] != patched[name]}
    assert (patched["name"], changed) == ("cli_patched", {"name", "updated_at"})


def test_a_name_is_taken_until_the_tool_is_deleted(tavus: CommandLine) -> None:
    tool = made(tavus, "cli_taken")
    body = tavus.file({**tavus("tool", "example"), "name": "cli_taken"})
    assert "Tavus API POST /tools failed with 409" in tavus.refused("tool", "create", "--file", body)
    assert tavus("tool", "delete", tool["tool_id"]) is None
    assert "failed with 400" in tavus.refused("tool", "get", tool["tool_id"])
    assert tavus("tool", "create", "--file", body)["name"] == "cli_taken"


def test_list_tells_your_tools_from_those_of_the_system(tavus: CommandLine) -> None:
    tool_id = made(tavus, "cli_listed")["tool_id"]
    assert tool_id in ids(tavus("tool", "list", "--json", "--limit", "100"))
    assert ids(tavus("tool", "list", "--json", "--type", "system")) == ["end_call"]
    everything = ids(tavus("tool", "list", "--json", "--type", "all", "--limit", "100"))
    assert everything[0] == "end_call"
    assert tool_id in everything
    assert ids(tavus("tool", "list", "--json", "--name-or-uuid", "cli_listed", "--sort", "desc")) == [tool_id]
    assert tavus("resource", "get", "tool", "end_call")["is_system_tool"] is True


def ids(page: Any) -> list[str]:
    return [tool["tool_id"] for tool in page["data"]]


def test_tools_are_attached_to_a_pal_and_detached(tavus: CommandLine, api: httpx.Client, new_pal: NewPal) -> None:
    pal_id = new_pal()
    first, second = (made(tavus, name)["tool_id"] for name in ("cli_first", "cli_second"))
    assert ids(tavus("pal", "tools", "attach", pal_id, first, second)) == [first, second]
    assert ids(tavus("pal", "tools", "list", pal_id)) == [first, second]
    assert api.get(f"/v2/pals/{pal_id}").json()["tool_ids"] == [first, second]
    assert tavus("pal", "tools", "detach", pal_id, first) is None
    assert ids(tavus("pal", "tools", "list", pal_id)) == [second]
    assert "failed with 400" in tavus.refused("pal", "tools", "detach", pal_id, first)


def test_a_pal_is_created_with_tools(tavus: CommandLine) -> None:
    tool_id = made(tavus, "cli_with_pal")["tool_id"]
    words = ("--system-prompt", "Answer briefly.", "--face-id", "r4067604db72", "--tool-id", tool_id)
    pal = tavus("pal", "create", *words)
    assert pal["tool_ids"] == [tool_id]
    tavus("tool", "delete", tool_id)
    assert tavus("pal", "get", pal["pal_id"])["tool_ids"] == []


@pytest.mark.parametrize("resource", ["tools", "skills", "objectives", "guardrails", "voices"])
def test_every_resource_there_is_can_be_listed_by_its_name(tavus: CommandLine, resource: str) -> None:
    """This sends a limit and nothing else, whatever the resource."""
    listed = tavus("resource", "list", resource, "--limit", "2")
    assert isinstance(listed["data"], list)


def test_skills_are_listed_and_read(tavus: CommandLine) -> None:
    listed = tavus("skill", "list", "--json")
    rows = listed["data"] if isinstance(listed, dict) else listed
    known = {skill["skill_id"] for skill in rows}
    assert {"internet_search", "presentation", "magic_canvas", "memory"} <= known
    assert tavus("skill", "get", "memory")["skill_id"] == "memory"
    assert "failed with 404" in tavus.refused("skill", "get", "telepathy")
    assert tavus.run("skill", "list").returncode == 0


def test_a_skill_is_attached_to_a_pal_changed_and_detached(tavus: CommandLine, new_pal: NewPal) -> None:
    pal_id = new_pal()
    tavus("pal", "skills", "attach", pal_id, "magic_canvas", "--config-file", tavus.file(CALENDAR))
    tavus("pal", "skills", "attach", pal_id, "internet_search")
    attached = tavus("pal", "skills", "list", pal_id)["data"]
    assert set(attached) == {"magic_canvas", "internet_search"}
    assert attached["magic_canvas"]["config"] == CALENDAR
    change = '{"usage_guidance": "Show rates as text."}'
    assert tavus("pal", "skills", "patch", pal_id, "magic_canvas", "--config", change)["config"] == {
        **CALENDAR,
        "usage_guidance": "Show rates as text.",
    }
    assert tavus("pal", "skills", "detach", pal_id, "magic_canvas") is None
    assert set(tavus("pal", "skills", "list", pal_id)["data"]) == {"internet_search"}
    assert "failed with 404" in tavus.refused("pal", "skills", "detach", pal_id, "magic_canvas")


@pytest.mark.parametrize(
    ("words", "skill", "config"),
    [
        pytest.param(["web_search"], "internet_search", {}, id="web search"),
        pytest.param(["memory"], "memory", {}, id="memory"),
        pytest.param(
            ["magic_canvas", "--scheduling-url", "https://calendly.com/wren", "--usage-guidance", "Be brief."],
            "magic_canvas",
            {
                "components": {
                    "scheduling_embed": {"provider": "calendly", "scheduling_url": "https://calendly.com/wren"}
                },
                "usage_guidance": "Be brief.",
            },
            id="magic canvas with a calendar",
        ),
        pytest.param(
            ["magic_canvas", "--component", "chart"],
            "magic_canvas",
            {
                "components": {
                    name: {"enabled": False}
                    for name in ("question", "input", "calendar", "text", "image", "video", "alert")
                }
            },
            id="magic canvas with one component",
        ),
    ],
)
def test_a_capability_becomes_a_skill(
    tavus: CommandLine, new_pal: NewPal, words: list[str], skill: str, config: Any
) -> None:
    pal_id = new_pal()
    tavus("pal", "capabilities", "attach", pal_id, *words)
    shown = tavus("pal", "capabilities", "list", pal_id)
    assert shown["raw_skills"][skill]["config"] == config
    capability = shown["capabilities"][words[0]]
    assert (capability["attached"], capability["attachment"]["skill_id"]) == (True, skill)
    tavus("pal", "capabilities", "detach", pal_id, words[0])
    assert tavus("pal", "capabilities", "list", pal_id)["raw_skills"] == {}

"""`palace chat` in a terminal: typing, streaming, Ctrl-C and Ctrl-D."""

import time
from collections.abc import Iterator

import pytest

from tests.cli.terminal import CTRL_C, CTRL_D, terminal
from tests.serving import Palace, start_palace

SAMPLE_PAL = "pcb7a34da5fe"

PROMPT = r"\n> "
LONG = " ".join(f"word{number}" for number in range(17))
HALF_A_MINUTE = " ".join(f"word{number}" for number in range(300))
"""of ten words a second"""


@pytest.fixture
def pal(new_pal) -> str:
    return new_pal(system_prompt=f"You are the night porter of a small hotel {LONG}.")


def ended(api, pal: str) -> list[str]:
    found = api.get("/v2/conversations", params={"pal_id": pal, "verbose": "true"}).json()["data"]
    return [
        api.get(f"/v2/conversations/{one['conversation_id']}", params={"verbose": "true"}).json()["shutdown_reason"]
        for one in found
    ]


def test_a_person_types_and_ctrl_d_ends_the_conversation(palace, api, pal):
    with terminal(palace, "chat", pal, "--greeting", "Good evening.") as screen:
        assert "Night Desk (p" in screen.until("Good evening.")
        screen.until(PROMPT)
        screen.type("Is there a room?\n")
        screen.until("You said: “Is there a room")
        screen.until(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0
    assert ended(api, pal) == ["end_conversation_endpoint_hit"]


@pytest.fixture
def slow(tmp_path) -> Iterator[Palace]:
    """A server whose model takes its time."""
    script = tmp_path / "script.yaml"
    rules = f'[{{when: everything, say: "{HALF_A_MINUTE}"}}, {{say: "Briefly."}}]'
    script.write_text(f"{{tokens_per_second: 10, rules: {rules}}}")
    with start_palace(tmp_path / "data", PALACE_SCRIPTED_MODEL=str(script)) as running:
        yield running


def test_ctrl_c_interrupts_the_pal_and_the_conversation_goes_on(slow):
    with terminal(slow, "chat", SAMPLE_PAL) as screen:
        screen.until("> ")
        screen.type("Tell me everything.\n")
        screen.until("word2")
        screen.type(CTRL_C)
        screen.until(r"\[interrupted\]")
        screen.until(PROMPT)
        screen.type("And then?\n")
        screen.until("Briefly.")
        screen.until(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert "Traceback" not in screen.shown


def test_ctrl_c_twice_leaves(palace, api, pal):
    with terminal(palace, "chat", pal) as screen:
        screen.until("> ")
        screen.type(CTRL_C)
        screen.until("Ctrl-C interrupts the PAL; Ctrl-D, or Ctrl-C twice, leaves.")
        screen.until("> ")
        screen.type(CTRL_C)
        assert screen.ended() == 0
        assert "Traceback" not in screen.shown
    assert ended(api, pal) == ["end_conversation_endpoint_hit"]


def test_ctrl_c_once_leaves_nobody(palace, api, pal):
    with terminal(palace, "chat", pal) as screen:
        screen.until("> ")
        screen.type(CTRL_C)
        screen.until("Ctrl-C interrupts the PAL; Ctrl-D, or Ctrl-C twice, leaves.")
        screen.until("> ")
        time.sleep(0.5)
        screen.type("Are you there?\n")
        screen.until("You said: “Are you there")
        screen.until(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0


def test_a_conversation_that_ends_while_somebody_types_is_told_at_once(palace, api, pal):
    with terminal(palace, "chat", pal) as screen:
        screen.until("> ")
        [conversation] = api.get("/v2/conversations", params={"pal_id": pal}).json()["data"]
        screen.type("I wanted to")
        api.post(f"/v2/conversations/{conversation['conversation_id']}/end")
        screen.until("The conversation has ended: end_conversation_endpoint_hit")
        assert screen.ended() == 0
        assert "Traceback" not in screen.shown


def test_what_somebody_else_says_meanwhile_is_shown_above_the_prompt(palace, api, pal):
    with terminal(palace, "chat", pal) as screen:
        screen.until("> ")
        [conversation] = api.get("/v2/conversations", params={"pal_id": pal}).json()["data"]
        screen.type("I wan")
        api.post(f"/v2/conversations/{conversation['conversation_id']}/respond", json={"text": "Hello from the page"})
        screen.until(r"\(somebody\) Hello from the page")
        screen.until("You said: “Hello from the page”.*> I wan")
        screen.type("ted to ask\n")
        screen.until("You said: “I wanted to ask”")
        screen.until(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0

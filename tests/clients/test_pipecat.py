"""Pipecat's Tavus client (`pipecat.transports.tavus`), as it is published, with its base URL patched."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.apart import SECONDS_TO_RUN, Outside, environment, program
from tests.serving import KEY, STOCK_FACE, Palace

NewPal = Callable[..., str]
CALLS = Path(__file__).with_name("in_pipecat.py")
PIPECAT_PAL = "pipecat0"
"""What Pipecat takes for a PAL unless it is told another: the voice comes from the bot, the face from the PAL."""


@pytest.fixture
def pipecat(palace: Palace, outside: Outside, tmp_path: Path) -> Callable[..., Any]:
    """Calls a method of Pipecat's client."""

    def call(*words: str, key: str = KEY) -> Any:
        variables = environment(f"{palace.url}/v2", tmp_path, outside, key)
        command = [program("python"), str(CALLS), *words]
        done = subprocess.run(
            command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_TO_RUN
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_the_name_of_its_own_pal_is_known(pipecat: Callable[..., Any]) -> None:
    """Its transport asks for it whenever somebody joins or leaves, to tell the PAL from the people."""
    assert pipecat("get_persona_name", PIPECAT_PAL) == {"returned": "Stock PAL: Pipecat"}


def test_the_name_of_a_pal_of_yours_is_known(pipecat: Callable[..., Any], new_pal: NewPal) -> None:
    assert pipecat("get_persona_name", new_pal(pal_name="Night Desk")) == {"returned": "Night Desk"}


def test_a_pal_that_is_not_there_is_an_error(pipecat: Callable[..., Any]) -> None:
    assert pipecat("get_persona_name", "p00000000000") == {"status": 400}


def test_a_wrong_key_is_an_error(pipecat: Callable[..., Any]) -> None:
    assert pipecat("get_persona_name", PIPECAT_PAL, key="a-wrong-key") == {"status": 401}


def test_a_conversation_is_created_with_a_url_to_join_and_ended(pipecat: Callable[..., Any], api: httpx.Client) -> None:
    made = pipecat("create_conversation", STOCK_FACE, PIPECAT_PAL)["returned"]
    id = made["conversation_id"]
    assert made["conversation_url"].endswith(f"/c/{id}")
    assert api.get(f"/v2/conversations/{id}").json()["status"] == "active"
    assert pipecat("end_conversation", id) == {"returned": None}
    assert api.get(f"/v2/conversations/{id}").json()["status"] == "ended"


def test_ending_a_conversation_again_is_no_error(pipecat: Callable[..., Any]) -> None:
    """The transport and its user may both end it."""
    id = pipecat("create_conversation", STOCK_FACE, PIPECAT_PAL)["returned"]["conversation_id"]
    assert [pipecat("end_conversation", id) for _ in range(2)] == [{"returned": None}] * 2


def test_a_conversation_that_cannot_be_is_an_error(pipecat: Callable[..., Any]) -> None:
    assert pipecat("create_conversation", "r00000000000", PIPECAT_PAL) == {"status": 400}
    assert pipecat("end_conversation", "c00000000000") == {"status": 400}

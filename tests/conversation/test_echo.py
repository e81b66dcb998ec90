"""Echoes: what a client has the PAL say, word for word, whole or in pieces."""

import pytest

from palace.conversation.commands import Emit
from palace.conversation.turns import LONGEST_ECHO
from tests.conversation.scene import Scene, scene

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_an_echo_is_said_word_for_word_and_remembered() -> None:
    call = scene().echo("Dinner is served.", "e1")
    assert call.sent() == ["utterance", "utterance.streaming"]
    assert call.heard() == ["Dinner is served."]
    assert call.visitor("What?").talk[0] == ("assistant", "Dinner is served.")


@pytest.mark.parametrize(
    ("given", "told"),
    [("e1", "cd3dc8b6-cffb-41e4-163d-cbd857ca87da"), (UUID, UUID), (UUID.upper(), UUID), ("", None)],
)
def test_an_echo_has_a_uuid(given: str, told: str | None) -> None:
    ids = {one["inference_id"] for one in scene().echo("Hm.", given).messages(all=False)}
    assert len(ids) == 1
    assert told is None or ids == {told}


def test_pieces_of_an_echo_are_said_when_the_last_one_is_there() -> None:
    call = scene().echo("Dinner ", "e1", done=False).echo("is ", "e1", done=False)
    assert call.heard() == []
    assert call.echo("served.", "e1").heard() == ["Dinner is served."]
    assert call.echo("Enjoy.", "e1").heard()[1:] == ["Enjoy."]


def test_pieces_of_another_echo_are_dropped() -> None:
    call = scene().echo("Dinner ", "e1", done=False).echo("Breakfast ", "e2", done=False).echo("is served.", "e2")
    assert call.heard() == ["Breakfast is served."]


def test_an_echo_has_a_longest_length_however_many_pieces_it_has() -> None:
    call = scene()
    for _ in range(5):
        call.echo("x" * 30_000, "e1", done=False)
        assert len(call.state.echoed) <= LONGEST_ECHO
    assert call.echo("y", "e1").heard() == ["x" * LONGEST_ECHO]


def test_a_long_id_of_an_echo_is_not_kept_as_it_is() -> None:
    call = scene().echo("Dinner ", "e" * 100_000, done=False)
    assert len(call.state.echo_id) == len(UUID)
    assert call.echo("is served.", "e" * 100_000).heard() == ["Dinner is served."]


@pytest.mark.parametrize("stops", [Scene.interrupts, lambda call: call.visitor("Wait.").model("Yes?")])
def test_what_was_collected_for_an_echo_is_dropped_by_an_interruption(stops: object) -> None:
    call = scene().echo("Dinner ", "e1", done=False)
    stops(call)  # type: ignore[operator]
    assert call.echo("is served.", "e1").just_heard() == ["is served."]


def test_an_empty_echo_is_silence() -> None:
    assert scene().echo("").latest == []


@pytest.mark.parametrize("done", [True, False])
def test_an_echo_interrupts_what_the_pal_says(done: bool) -> None:
    call = scene().visitor("Hello").model_writes("Good eve")
    call.echo("Fire!", "e1", done=done)
    assert (call.request, call.just_heard()) == (None, ["Good eve-", *(["Fire!"] if done else [])])


def test_in_echo_mode_nobody_asks_a_model() -> None:
    call = scene(is_echo=True).visitor("Hello")
    assert (call.request, call.sent(), len(call.turns())) == (None, ["utterance"], 1)
    call.echo("Hi.")
    assert [one.message["turn_idx"] for one in call.of(Emit)[2:]] == [1, 1, 1]

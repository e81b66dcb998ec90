"""Undo of any revision of any history restores the document exactly.

Some histories, the same every time; `make torture-undo` makes new ones for some minutes. Below them, what they found.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.acceptance.histories import Histories
from tests.acceptance.model import Model, operation
from tests.inside import Inside, inside
from tests.serving import STOCK_FACE

NEW_HISTORIES = int(os.environ.get("PALACE_UNDO_HISTORIES", "0"))
"""how many new random histories `make torture-undo` wants; 0 for the same few every time"""
FEW_HISTORIES, STEPS = 120, 40


@pytest.fixture(scope="module")
def palace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with inside(tmp_path_factory.mktemp("undo")) as running:
        yield running


@pytest.fixture
def pal(palace: Inside) -> Model:
    made = Model(palace)
    made.create({"system_prompt": "Count.", "default_face_id": STOCK_FACE, "layers": {"stt": {}}})
    return made


def test_undo_of_any_revision_of_any_history_restores_the_document_exactly(palace):
    chosen = settings(
        max_examples=NEW_HISTORIES or FEW_HISTORIES,
        stateful_step_count=STEPS,
        derandomize=not NEW_HISTORIES,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Histories(palace), settings=chosen)


def test_going_back_takes_away_a_default_that_was_written_out_since(pal):
    pal.patch(operation("add", "/layers/stt/hotwords", "Wren"))
    pal.patch(operation("add", "/layers/stt/hotwords", ""))
    assert pal.take(pal.call("rollbackPal", {"to": 1}))
    assert pal.now.document["layers"] == {"stt": {}}
    assert pal.take(pal.call("revertPalRevision", None, 4))
    assert pal.now.document["layers"] == {"stt": {"hotwords": ""}}
    pal.check_history()


def test_what_cannot_be_taken_back_since_its_place_is_gone_is_named(pal):
    pal.patch(operation("add", "/layers/transport", {"room": {"bitrate": 1, "name": "a"}}))
    pal.patch(operation("remove", "/layers/transport/room/bitrate"))
    pal.patch(operation("replace", "/layers/transport/room", 5))
    answer = pal.call("revertPalRevision", None, 3)
    assert not pal.take(answer, 409)
    (detail,) = answer.body["details"]
    assert (detail["code"], detail["pointer"]) == ("moved_since", "/layers/transport/room/bitrate")


@pytest.mark.parametrize(
    ("read", "since"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="another order of members"),
        pytest.param({"a": 1}, {"a": 1.0}, id="another spelling of a number"),
    ],
)
def test_a_tag_of_what_says_the_same_in_other_letters_guards_nothing_from_itself(pal, read, since):
    pal.patch(operation("add", "/layers/transport", read))
    tag = pal.now.etag
    pal.patch(operation("remove", "/layers/transport"))
    pal.patch(operation("add", "/layers/transport", since))
    assert pal.now.etag != tag
    change = [operation("replace", "/greeting", "Hello.")]
    assert pal.take(pal.call("patchPal", change, if_match=f'"{tag}"'))
    assert pal.call("deletePal", if_match=f'"{pal.said[1].etag}"').status == 412


def test_a_refused_write_that_leads_back_to_what_was_read_is_told_who_led_away(pal):
    pal.patch(operation("replace", "/greeting", "Good evening."))
    tag = pal.now.etag
    pal.patch(operation("replace", "/greeting", "Good night."))
    answer = pal.call("patchPal", [operation("replace", "/greeting", "Good evening.")], if_match=f'"{tag}"')
    assert not pal.take(answer, 412)
    assert [(detail["pointer"], detail["revision"]) for detail in answer.body["details"]] == [("/greeting", 3)]

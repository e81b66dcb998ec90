"""What must hold for the changes between any two documents, whoever made them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palace.json_patch import apply_patch, diff, equal, parse_pointer
from palace.revisions.changes import (
    ABSENT,
    Change,
    as_patch,
    changes,
    make,
    moved,
    overlap,
    reversed_changes,
    still_to_make,
    value_of,
)
from palace.revisions.history import UNBOUNDED
from tests.json_patch.strategies import documents_with_fitting_patches, names, values

few = settings(max_examples=100)
objects = st.dictionaries(names, values, max_size=5)
places = st.lists(names, max_size=3).map(tuple)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two objects that share nothing in memory: strangers, or one and what a patch made of it."""
    if draw(st.booleans()):
        return draw(objects), draw(objects)
    before, patch = draw(documents_with_fitting_patches())
    after = json.loads(json.dumps(apply_patch(before, patch).document))
    return {"inside": before}, {"inside": after}


@few
@given(pairs())
def test_changes_made_or_sent_as_a_patch_lead_from_one_document_to_the_other(pair):
    before, after = pair
    texts = json.dumps(before), json.dumps(after)
    found = changes(before, after)
    assert equal(apply_patch(before, as_patch(found), UNBOUNDED).document, after)
    made = make(before, found)
    assert made is not None
    assert equal(made, after)
    assert (json.dumps(before), json.dumps(after)) == texts, "neither document is written to"


@few
@given(pairs())
def test_changes_taken_back_lead_back(pair):
    before, after = pair
    back = reversed_changes(changes(before, after))
    assert equal(apply_patch(after, as_patch(back), UNBOUNDED).document, before)
    made = make(after, back)
    assert made is not None
    assert equal(made, before)
    assert reversed_changes(reversed_changes(back)) == back


@few
@given(pairs())
def test_there_is_no_change_where_both_say_the_same(pair):
    before, after = pair
    assert (changes(before, after) == []) == equal(before, after)
    assert changes(before, json.loads(json.dumps(before))) == []
    assert changes(before, dict(reversed(before.items()))) == []


@few
@given(pairs())
def test_every_change_tells_the_values_at_its_place_and_its_kind(pair):
    before, after = pair
    found = changes(before, after)
    for change in found:
        assert parse_pointer(change.pointer) == change.tokens
        assert value_of(before, change.tokens) is change.before
        assert value_of(after, change.tokens) is change.after
        assert not _same(change.before, change.after)
        kinds = {(True, False): "added", (False, True): "removed", (False, False): "changed"}
        assert change.kind == kinds[change.before is ABSENT, change.after is ABSENT]
    tokens = [change.tokens for change in found]
    assert not any(overlap(one, other) for index, one in enumerate(tokens) for other in tokens[:index])


def _same(one: Any, other: Any) -> bool:
    return one is other if ABSENT in (one, other) else equal(one, other)


@few
@given(pairs(), objects)
def test_what_has_moved_is_what_no_longer_holds_the_value_before_or_has_no_place(pair, other):
    before, after = pair
    found = changes(before, after)
    assert moved(before, found) == []
    assert moved(json.loads(json.dumps(before)), found) == []
    assert moved(after, found) == found
    hindered = moved(other, found)
    for change in found:
        holds_it = _same(value_of(other, change.tokens), change.before)
        assert (change not in hindered) == (holds_it and type(value_of(other, change.tokens[:-1])) is dict)


@few
@given(pairs(), objects)
def test_what_is_still_to_make_is_what_does_not_hold_the_value_after(pair, other):
    before, after = pair
    found = changes(before, after)
    assert still_to_make(before, found) == found
    assert still_to_make(after, found) == []
    expected = [change for change in found if not _same(value_of(other, change.tokens), change.after)]
    assert still_to_make(other, found) == expected


@few
@given(pairs(), objects)
def test_changes_that_fit_another_document_are_made_there_and_nothing_else_is(pair, other):
    found = changes(*pair)
    if moved(other, found):
        return
    made = make(other, found)
    assert made is not None
    assert equal(make(made, reversed_changes(found)), other)
    assert sorted(map(_place, changes(other, made))) == sorted(map(_place, found))


def _place(change: Change) -> str:
    return change.pointer


@few
@given(pairs())
def test_members_of_the_root_that_are_ignored_are_left_out_and_all_others_are_not(pair):
    before, after = pair
    everything = changes(before, after)
    ignored = tuple(before)[:2]
    assert changes(before, after, ignored=ignored) == [c for c in everything if c.tokens[0] not in ignored]


@few
@given(places, places)
def test_overlap_is_symmetric_and_means_that_one_place_lies_in_the_other(one, other):
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one)
    assert overlap(one, (*one, *other))
    assert overlap(one, other) == (one[: len(other)] == other or other[: len(one)] == one)


@few
@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_an_array_is_one_change_and_its_patch_only_touches_what_moved_apart(before, after):
    found = changes({"a/~": before}, {"a/~": after})
    assert [change.pointer for change in found] == ([] if before == after else ["/a~1~0"])
    patch = as_patch(found)
    assert apply_patch({"a/~": before}, patch, UNBOUNDED).document == {"a/~": after}
    assert len(patch) == len(diff(before, after))


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        pytest.param({"a": 1}, {"a": 1.0}, [], id="1 is 1.0"),
        pytest.param({"a": 1}, {"a": True}, ["changed"], id="1 is not true"),
        pytest.param({"a": [1, {"b": 0}]}, {"a": [1.0, {"b": 0.0}]}, [], id="also inside an array"),
        pytest.param({"a": [0]}, {"a": [False]}, ["changed"], id="nor is 0 false inside an array"),
        pytest.param({"a": None}, {}, ["removed"], id="null is not absent"),
        pytest.param({}, {"a": None}, ["added"], id="absent is not null"),
        pytest.param({"a": {}}, {"a": []}, ["changed"], id="an empty object is not an empty array"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, [], id="members have no order"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ["changed"], id="elements have one"),
        pytest.param({"": {"": 1}}, {"": {"": 2}}, ["changed"], id="names may be empty"),
    ],
)
def test_what_counts_as_a_change(before, after, kinds):
    assert [change.kind for change in changes(before, after)] == kinds

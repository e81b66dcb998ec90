"""JSON Pointers: text to tokens and back (RFC 6901)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.json_patch import InvalidPatch, LimitExceeded, format_pointer, parse_pointer

POINTERS = [
    ("", ()),
    ("/", ("",)),
    ("//", ("", "")),
    ("/a", ("a",)),
    ("/a/b/0", ("a", "b", "0")),
    ("/a~1b", ("a/b",)),
    ("/m~0n", ("m~n",)),
    ("/~01", ("~1",)),
    ("/~10", ("/0",)),
    ("/~0~1~1", ("~//",)),
    ("/ ", (" ",)),
    ('/k"l\\', ('k"l\\',)),
    ("/-", ("-",)),
    ("/a\nb\té", ("a\nb\té",)),
]

REFUSED = ["a", "#/a", " /a", "~", "/~", "/~2", "/a~b", "/a~/b", "/\ud800", "/\0"]


@pytest.mark.parametrize(("text", "tokens"), POINTERS)
def test_pointers_are_taken_apart_and_put_together(text: str, tokens: tuple[str, ...]) -> None:
    assert parse_pointer(text) == tokens
    assert format_pointer(tokens) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(InvalidPatch) as caught:
        parse_pointer(text)
    assert caught.value.problems[0].operation is None


def test_long_pointers_exceed_a_limit() -> None:
    with pytest.raises(LimitExceeded):
        parse_pointer("/" * 65)
    with pytest.raises(LimitExceeded):
        parse_pointer("/" + "a" * 1024)


def test_indexes_are_written_as_numbers() -> None:
    assert format_pointer(("a", 0, 12)) == "/a/0/12"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), max_size=8))
def test_every_sequence_of_names_has_a_pointer_of_its_own(tokens: list[str]) -> None:
    assert parse_pointer(format_pointer(tokens)) == tuple(tokens)

"""The strict reader: what it reads, and how it refuses everything else."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palace.json_patch import InvalidJson, Limits, apply_patch, read_json
from tests.json_patch.strategies import values

READS: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b" \r\n\t[1] \r\n\t", [1]),
    (b"0", 0),
    (b"-0", 0),
    (b"-0.0", 0.0),
    (b"1e2", 100.0),
    (b"18446744073709551615", 2**64 - 1),
    (b"-9223372036854775808", -(2**63)),
    (b"1.7976931348623157e308", 1.7976931348623157e308),
    (b"1e-999", 0.0),
    (b"0." + b"1" * 400, float("0." + "1" * 400)),
    (b'"\\ud83d\\ude00"', "😀"),
    ('"é😀"'.encode(), "é😀"),
    (b'"\\\\u0000"', "\\u0000"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"[[[[{{{{"', "[[[[{{{{"),
    (b'"' + b"[" * 1000 + b'"', "[" * 1000),
    (b"[" * 64 + b"]" * 64, None),
    (b'{"a":{"a":1},"b":[{"a":1},{"a":2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
    (b'{"":1," ":2}', {"": 1, " ": 2}),
]

# body, code, offset in bytes
REFUSES: list[tuple[bytes, str, int | None]] = [
    (b"", "empty", None),
    (b" \n\t", "empty", None),
    (b"\xef\xbb\xbf{}", "byte_order_mark", 0),
    ("{}".encode("utf-16"), "invalid_utf8", 0),
    (b'{"a":"\xff"}', "invalid_utf8", 6),
    (b'"\xed\xa0\x80"', "invalid_utf8", 1),
    (b'"\xc0\x80"', "invalid_utf8", 1),
    (b"[1,]", "syntax", 3),
    (b'{"a":1,}', "syntax", None),
    (b"{'a':1}", "syntax", 1),
    (b'{"a":1', "syntax", 6),
    (b'{"a"', "syntax", 4),
    (b'"abc', "syntax", 0),
    (b'"a\nb"', "syntax", 2),
    (b'"a\x00b"', "syntax", 2),
    (b'"\\x"', "syntax", None),
    (b"01", "trailing_text", 1),
    (b"+1", "syntax", 0),
    (b".5", "syntax", 0),
    (b"0x10", "trailing_text", 1),
    (b"nul", "syntax", 0),
    (b"\x0b1", "syntax", 0),
    (b"\xc2\xa01", "syntax", 0),
    (b"[]]", "trailing_text", 2),
    (b"{} {}", "trailing_text", 3),
    (b" 1 // two", "trailing_text", 3),
    (b"NaN", "not_finite", 0),
    (b'{"a":[1,Infinity]}', "not_finite", 8),
    (b"-Infinity", "not_finite", 0),
    (b"1e999", "number_out_of_range", 0),
    (b"[-1E+400]", "number_out_of_range", 1),
    (b"18446744073709551616", "number_out_of_range", 0),
    (b"[1, -9223372036854775809]", "number_out_of_range", 4),
    (b'{"n":' + b"7" * 400 + b"}", "number_out_of_range", 5),
    (b"7" * 100_000, "number_out_of_range", 0),
    (b"7" * 400 + b".5", "number_out_of_range", 0),
    (b'"\\ud800"', "lone_surrogate", 0),
    (b'["\\udc00\\ud800"]', "lone_surrogate", 1),
    (b'{"\\ud800":1}', "lone_surrogate", 1),
    (b'["a\\u0000"]', "null_character", 1),
    (b'{"a\\u0000":1}', "null_character", 1),
    (b"[" * 65 + b"]" * 65, "too_deep", 64),
    (b'[{"a":' * 33 + b"1" + b"}]" * 33, "too_deep", 192),
    (b"[" * 1_000_000, "too_deep", 64),
    (b'{"a":' * 100_000, "too_deep", 320),
    (b"[" + b"1," * 250_000 + b"1]", "too_many_values", None),
    (b"[" + b"[[]]," * 125_000 + b"[]]", "too_many_values", None),
    (b'{"a":1,"a":1}', "duplicate_member", 7),
    (b'{"a":1,"\\u0061":2}', "duplicate_member", 7),
    ('["é",{"b":{"x":1, "y":[], "x":null}}]'.encode(), "duplicate_member", 27),
    (b'[{"op":"add","path":"/a","value":1,"value":2}]', "duplicate_member", 35),
    (b'[{"op":"add","op":"remove","path":"/a","value":1}]', "duplicate_member", 13),
]


def shortened(body: object) -> str:
    return repr(body)[:40] if isinstance(body, bytes) else ""


@pytest.mark.parametrize(("body", "value"), READS, ids=shortened)
def test_json_is_read(body: bytes, value: Any) -> None:
    result = read_json(body)
    if value is not None:
        assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(("body", "code", "offset"), REFUSES, ids=shortened)
def test_what_is_not_strict_json_is_refused_with_its_place(body: bytes, code: str, offset: int | None) -> None:
    with pytest.raises(InvalidJson) as caught:
        read_json(body)
    error = caught.value
    assert error.code == code
    assert error.problem == str(error)
    assert error.problem.endswith(".")
    assert len(error.problem) < 200
    if offset is not None:
        assert error.offset == offset
        assert offset == 0 or str(offset) in error.problem


def test_an_escape_does_not_hide_a_second_problem_from_an_ordinary_reader() -> None:
    """The duplicate of a patch's value is seen although a decoder would simply keep the last one."""
    body = b'[{"op":"add","path":"/a","value":"safe","value":"other"}]'
    assert apply_patch({}, json.loads(body)).document == {"a": "other"}
    with pytest.raises(InvalidJson):
        read_json(body)


def test_limits_apply_to_reading() -> None:
    assert read_json(b"[[]]", Limits(depth=2)) == [[]]
    assert read_json(b'"\\u0000"', Limits(null_characters=True)) == "\0"
    assert read_json(b"340282366920938463463374607431768211456", Limits(largest_integer=2**128)) == 2**128
    assert read_json(b'{"a":[1,",,[,{"]}', Limits(values=4)) == {"a": [1, ",,[,{"]}
    for body, limits in (
        (b"[[[]]]", Limits(depth=2)),
        (b'"\\u0000\\ud800"', Limits(null_characters=True)),
        (b"128", Limits(largest_integer=127)),
        (b'{"a":[1]}', Limits(values=2)),
    ):
        with pytest.raises(InvalidJson):
            read_json(body, limits)


def test_a_depth_no_decoder_can_follow_is_refused_whatever_the_limit() -> None:
    with pytest.raises(InvalidJson) as caught:
        read_json(b"[" * 200_000 + b"]" * 200_000, Limits(depth=10**6))
    assert caught.value.code == "too_deep"


@settings(max_examples=100)
@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_whatever_an_encoder_writes_is_read_as_it_was(value: Any, ascii_only: bool, indent: int | None) -> None:
    assert read_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value
    assert read_json(orjson.dumps(value)) == value


@settings(max_examples=250)
@given(
    st.one_of(
        st.binary(max_size=20),
        st.lists(
            st.sampled_from(
                [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"\\u0000"', b'"\\ud800"', b"1", b"1e999", b"NaN", b" "]
            ),
            max_size=14,
        ).map(b"".join),
    )
)
def test_every_text_is_either_read_or_refused(body: bytes) -> None:
    try:
        value = read_json(body)
    except InvalidJson as error:
        assert error.offset is None or 0 <= error.offset <= len(body)
    else:
        assert orjson.loads(body) == value

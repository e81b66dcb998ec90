"""Reading a request body: strict JSON (RFC 8259, I-JSON's ban on duplicate members from RFC 7493, section 2.3)."""

import json
import re
from functools import lru_cache
from math import isfinite
from typing import NoReturn

from palace.json_patch.errors import InvalidJson, quote
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.values import FAULTY, Json, count, integer_range, is_clean, string_fault, survey

_MARK = b"\xef\xbb\xbf"
_SPACE = " \t\n\r"
_TOO_DEEP = "Arrays and objects lie more than {} deep inside one another"

_TOKEN = re.compile(
    r"""[ \t\n\r,:]*+ (?: (?P<string> "[^"\\]*+(?:\\.[^"\\]*+)*+" ) (?P<member> [ \t\n\r]*+: )?
                        | (?P<open> [\[{] ) | (?P<close> [\]}] )
                        | (?P<number> -?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+ ) | true | false | null
                        | (?P<constant> NaN | -?Infinity ) )""",
    re.VERBOSE | re.DOTALL,
)


class _Refused(Exception):
    """The decoder met something strict JSON does not have; `_first_fault` finds out what and where."""


def read_json(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """The value of a JSON text in UTF-8, with no member lost and no number changed on the way.

    Raises InvalidJson for anything else: duplicate members, NaN, numbers out of range, lone surrogates, U+0000, nesting
    deeper than `limits.depth`, more than `limits.values` values, a byte order mark, text after the value. A patch wraps
    its values in two levels.
    """
    text = _decoded(body)
    bare = text.strip(_SPACE)
    if not bare:
        raise InvalidJson("empty", "The body is empty.", None)
    try:
        value, end = _reader(limits).raw_decode(bare)
    except json.JSONDecodeError as error:
        raise _syntax_error(text, error) from None
    except (_Refused, RecursionError):
        _refuse(text, limits)
    if end < len(bare):
        rest = bare[end:].lstrip(_SPACE)
        offset = len(body.rstrip(_SPACE.encode())) - len(rest.encode())
        raise InvalidJson("trailing_text", f"The JSON value ends before byte {offset}, but more text follows.", offset)
    most_containers = body.count(b"[") + body.count(b"{")
    if most_containers > limits.depth or b"\\u" in body:
        levels = survey(value, limits)
        if levels == FAULTY or levels > limits.depth:
            _refuse(text, limits)
    if body.count(b",") + most_containers >= limits.values and (values := count(value)) > limits.values:
        raise InvalidJson("too_many_values", f"The body has {values} values; the limit is {limits.values}.", None)
    return value


def _decoded(body: bytes) -> str:
    if body.startswith(_MARK):
        raise InvalidJson("byte_order_mark", "The body starts with a byte order mark; JSON has none.", 0)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        sentence = f"The body is not UTF-8: byte {error.start} does not belong there."
        raise InvalidJson("invalid_utf8", sentence, error.start) from None


@lru_cache(maxsize=16)
def _reader(limits: Limits) -> json.JSONDecoder:
    """A decoder that raises _Refused for duplicate members and for numbers out of range."""

    longest = max(len(str(limits.smallest_integer)), len(str(limits.largest_integer)))

    def members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise _Refused
        return result

    def integer(digits: str) -> int:
        # Long ones are not even converted: that takes time, and Python refuses more than 4,300 digits.
        if len(digits) > longest:
            raise _Refused
        number = int(digits)
        if not limits.smallest_integer <= number <= limits.largest_integer:
            raise _Refused
        return number

    def fraction(digits: str) -> float:
        number = float(digits)
        if not isfinite(number):
            raise _Refused
        return number

    def constant(name: str) -> NoReturn:
        raise _Refused(name)

    return json.JSONDecoder(object_pairs_hook=members, parse_int=integer, parse_float=fraction, parse_constant=constant)


def _syntax_error(text: str, error: json.JSONDecodeError) -> InvalidJson:
    offset = _byte_offset(text, text.index(error.doc) + error.pos)
    wording = error.msg[0].lower() + error.msg[1:].removesuffix(" at").removesuffix(" starting")
    return InvalidJson("syntax", f"The body is not JSON: {wording} at byte {offset}.", offset)


def _refuse(text: str, limits: Limits) -> NoReturn:
    code, wording, position = _first_fault(text, limits)
    offset = _byte_offset(text, position)
    raise InvalidJson(code, f"{wording} at byte {offset}.", offset) from None


def _first_fault(text: str, limits: Limits) -> tuple[str, str, int]:
    """Code, wording and position of the first thing in the text that is refused although its syntax is right."""
    names: list[set[str] | None] = []
    """per open container: the names seen so far, or None for an array"""
    position = 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        kind = token.lastgroup
        if kind == "open":
            names.append(set() if token["open"] == "{" else None)
            if len(names) > limits.depth:
                return "too_deep", _TOO_DEEP.format(limits.depth), token.start("open")
        elif kind == "close":
            names.pop()
        elif kind == "constant":
            return "not_finite", "The body has a number that is not finite", token.start("constant")
        elif kind == "number":
            if wording := _number_fault(token["number"], limits):
                return "number_out_of_range", wording, token.start("number")
        elif kind is not None:
            string = json.loads(token["string"])
            if not is_clean(string, limits):
                code, wording = string_fault(string)
                return code, f"The body has {wording}", token.start("string")
            seen = names[-1] if names else None
            if kind == "member" and seen is not None:
                if string in seen:
                    return (
                        "duplicate_member",
                        f"The member {quote(string)} appears twice in one object",
                        token.start("string"),
                    )
                seen.add(string)
    # Nothing is wrong but the depth: it is within the limits, and still more than the decoder can follow.
    return "too_deep", "Arrays and objects lie too deep inside one another to be read", len(text)


def _number_fault(digits: str, limits: Limits) -> str | None:
    if any(character in ".eE" for character in digits):
        return None if isfinite(float(digits)) else "The body has a number too large for a 64-bit float"
    longest = max(len(str(limits.smallest_integer)), len(str(limits.largest_integer)))
    if len(digits) <= longest and limits.smallest_integer <= int(digits) <= limits.largest_integer:
        return None
    return f"The body has {integer_range(limits)}"


def _byte_offset(text: str, position: int) -> int:
    return len(text[:position].encode("utf-8"))

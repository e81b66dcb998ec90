"""Patterns of suites: regular expressions that take time in proportion to the text, whoever wrote them.

They are those of Rust's `regex`, which comes with pydantic: no look-around and no references back, and so nothing that
would keep the server busy for ever. A server judges by patterns of any of its accounts.
"""

import math
import re

from pydantic_core import SchemaError, SchemaValidator, core_schema

LONGEST = 1000
MOST_WEIGHT = 10_000
"""Of all patterns of a suite; so much is compiled within about two seconds at the worst."""
COUNTED = re.compile(r"\{\s*0*(\d+)\s*(?:,\s*0*(\d*)\s*)?\}")
"""A number of repetitions as Rust reads it: zeros may stand before it, and blanks around it."""
LONGEST_COUNT = 6
"""digits"""


class InvalidPattern(Exception):
    """This is no pattern; the text is a sentence that says why."""


class Pattern:
    """One pattern, compiled."""

    def __init__(self, text: str) -> None:
        """Raises InvalidPattern."""
        self.text = text
        try:
            self._validator = SchemaValidator(core_schema.str_schema(pattern=text, regex_engine="rust-regex"))
        except SchemaError as error:
            raise InvalidPattern(_reason(str(error))) from error

    def is_in(self, text: str) -> bool:
        """Whether it is found anywhere in a text."""
        return self._validator.isinstance_python(text)


def _reason(said: str) -> str:
    """The last line of what the engine says, as a sentence."""
    last = said.strip().splitlines()[-1].removeprefix("error: ").removeprefix("SchemaError: ").rstrip(".")
    return f"Not a regular expression: {last}."


def weight_of(pattern: str) -> int:
    """About how large it is compiled: its length, times every number of repetitions in it."""
    bounds = (max(_count(least), _count(most), 1) for least, most in COUNTED.findall(pattern))
    return len(pattern) * math.prod(bounds)


def _count(digits: str) -> int:
    """A number of repetitions; one that is far too large in any case is not read to its end."""
    return int(digits[:LONGEST_COUNT] or 0)

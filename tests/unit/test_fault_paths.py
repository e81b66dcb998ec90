"""Which paths a planned fault is for: what the same pattern would mean as a regular expression, without its delays."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.faults import LONGEST_PATH, InvalidFault, matches, read_plan

LETTERS = st.text(alphabet="ab/", max_size=12)
PATTERNS = st.lists(st.one_of(st.sampled_from(["*", "**", "/"]), LETTERS), max_size=6).map("".join)


def as_expression(pattern: str) -> str:
    parts = re.split(r"(\*\*|\*)", pattern)
    return "".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts)


@given(PATTERNS, LETTERS)
def test_a_pattern_means_what_its_regular_expression_means(pattern: str, path: str) -> None:
    assert matches(pattern, path) is (re.fullmatch(as_expression(pattern), path) is not None)


@pytest.mark.parametrize("wildcard", ["*", "**"])
def test_no_pattern_takes_long(wildcard: str) -> None:
    began = time.monotonic()
    assert not matches("/v2/" + f"{wildcard}a" * 300 + "b", "/v2/" + "a" * 2000)
    assert time.monotonic() - began < 5


def test_a_pattern_that_is_too_long_is_refused() -> None:
    plan = {"faults": [{"match": {"path": "/" + "a" * LONGEST_PATH}, "answer": "429"}]}
    with pytest.raises(InvalidFault) as caught:
        read_plan(plan)
    assert caught.value.pointer == "/faults/0/match/path"

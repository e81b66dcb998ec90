from difflib import unified_diff

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.revisions.lines import unified

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


@given(LINES, st.lists(LINES, min_size=1, max_size=3))
def test_it_is_what_patch_reads(old, parts):
    new = [*old[:10], *parts[0], *old[12:]] if len(parts) > 1 else parts[0]
    assert applied(old, unified(old, new, "old", "new")) == new


def applied(old, text):
    """The lines that a unified diff makes of others; it is checked that it fits them."""
    if not text:
        return list(old)
    result, at = [], 0
    for line in text.split("\n")[2:]:
        if line.startswith("@@"):
            where, length = (line.split()[1][1:] + ",1").split(",")[:2]
            start = int(where) - (length != "0")
            result += old[at:start]
            at = start
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert old[at] == line[1:]
            result += [line[1:]] if line[0] == " " else []
            at += 1
    return result + list(old[at:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("abcdefghij", "abcdXfghij", id="a line changed"),
        pytest.param("abcdefghij", "abcdefghijk", id="a line at the end"),
        pytest.param("abcdefghij", "Xabcdefghij", id="a line at the start"),
        pytest.param("abcdefghijklmnopqrst", "abXdefghijklmnopqYst", id="two hunks"),
        pytest.param("", "a", id="from nothing"),
        pytest.param("ab", "", id="to nothing"),
        pytest.param("aaaa", "aa", id="fewer of the same"),
        pytest.param("abc", "abc", id="no difference"),
    ],
)
def test_it_says_what_the_standard_library_says(old, new):
    expected = unified_diff(list(old), list(new), "old", "new", n=3, lineterm="")
    said = unified(list(old), list(new), "old", "new").split("\n")
    assert said == (list(expected) or [""])


def test_where_too_much_differs_it_is_one_change_and_still_fits():
    old = ["{", *(f"t{number}" for number in range(30_000)), "}"]
    new = ["{", *(f"t{number}" if number % 2 else f"u{number}" for number in range(30_000)), "}"]
    text = unified(old, new, "old", "new")
    assert [line for line in text.split("\n") if line.startswith("@@")] == ["@@ -1,30002 +1,30002 @@"]
    assert applied(old, text) == new

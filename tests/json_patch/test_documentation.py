"""The page of reference: its example runs, and it names every code and every limit there is, and no other."""

import dataclasses
import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from palace.json_patch import (
    DEFAULT_LIMITS,
    Conflict,
    InvalidJson,
    LimitExceeded,
    Limits,
    PatchError,
    apply_patch,
    read_json,
)
from tests.json_patch.test_malformed import LIMITS, MALFORMED, NOT_PATCHES
from tests.json_patch.test_operations import CONFLICTS
from tests.json_patch.test_read_json import REFUSES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json_patch.md"


def codes_on_the_page(heading: str) -> set[str]:
    """The codes in the first column of the table after the paragraph that begins with the heading."""
    table = PAGE.read_text().split(f"\n`{heading}`", 1)[1].split("\n\n")[1]
    return {code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[1])}


def codes_of(patches: list[tuple[Any, Any]], kind: type[PatchError] = PatchError) -> set[str]:
    found: set[str] = set()
    for document, patch in patches:
        try:
            apply_patch(document, patch)
        except kind as error:
            found |= {problem.code for problem in error.problems}
    return found


def test_the_example_prints_what_the_page_says() -> None:
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 5
    assert failed == 0


def test_the_page_names_every_code_of_a_malformed_patch() -> None:
    patches: list[tuple[Any, Any]] = [({}, patch) for patch in NOT_PATCHES] + [({}, [row[1]]) for row in MALFORMED]
    assert codes_on_the_page("InvalidPatch") == codes_of(patches)


def test_the_page_names_every_code_of_an_exceeded_limit() -> None:
    copies = [{"op": "copy", "from": "", "path": f"/{index}"} for index in range(30)]
    patches: list[tuple[Any, Any]] = [({}, row[2]) for row in LIMITS if row[1] is DEFAULT_LIMITS]
    patches += [({"a": "x" * 100}, copies)]
    assert codes_on_the_page("LimitExceeded") == codes_of(patches, LimitExceeded)


def test_the_page_names_every_code_of_a_conflict() -> None:
    assert codes_on_the_page("Conflict") == codes_of([(row[1], row[2]) for row in CONFLICTS], Conflict)


def test_the_page_names_every_code_of_a_body_that_is_refused() -> None:
    found = set()
    for body, _, _ in REFUSES:
        with pytest.raises(InvalidJson) as caught:
            read_json(body)
        found.add(caught.value.code)
    assert codes_on_the_page("read_json") == found


def test_the_page_names_every_limit() -> None:
    section = PAGE.read_text().split("## Limits")[1].split("##")[0]
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert named == [field.name for field in dataclasses.fields(Limits)]

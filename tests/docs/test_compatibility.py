"""What the page on compatibility is made of holds: tests that show something exist, operations answer as documented."""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from docs.compatibility import DIFFERENCES, MEANING, OBSERVED, documented_statuses, operations_of
from palace.resources import RESOURCES
from tests.recording import ANYBODY, CLIENTS, RECORDED, observed_in, together

ROOT = Path(__file__).parents[2]
ROWS = [*DIFFERENCES["differs"], *DIFFERENCES["more"]]
FAILURES = {408, 429, 500, 503, 504}
"""Answers of a server that is broken on purpose, or asked for too much; no operation announces them."""
OPERATIONS = {
    f"{endpoint.method} /v2/{collection}{endpoint.path}": (resource, endpoint)
    for resource in RESOURCES
    for endpoint in resource.endpoints
    for collection in [resource.collection, *([resource.names.legacy.collection] if resource.names.legacy else [])]
}


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["test"].partition("::")[2])
def test_what_is_said_to_differ_is_shown_by_a_test_that_exists(row: dict[str, Any]) -> None:
    path, _, name = row["test"].partition("::")
    assert name in names_in(path)


@pytest.mark.parametrize("row", DIFFERENCES["differs"], ids=lambda row: str(row.get("topic") or row["operation"]))
def test_what_differs_is_about_operations_that_exist_or_about_a_topic(row: dict[str, Any]) -> None:
    known = {endpoint.operation_id for _, endpoint in OPERATIONS.values()}
    assert set(operations_of(row)) <= known
    assert bool(operations_of(row)) != ("topic" in row)


@pytest.mark.parametrize("operation", sorted(OBSERVED))
def test_what_was_seen_is_an_operation_and_answers_as_documented(operation: str) -> None:
    statuses = set(OBSERVED[operation][ANYBODY])
    assert statuses - FAILURES <= documented_statuses(*OPERATIONS[operation])


def test_every_operation_was_called() -> None:
    newer = {key for key, (resource, _) in OPERATIONS.items() if key.split("/")[2] == resource.collection}
    assert sorted(newer - set(OBSERVED)) == []


def test_every_client_was_seen() -> None:
    assert {client for by_client in OBSERVED.values() for client in by_client} == {*CLIENTS.values(), ANYBODY}
    assert set(MEANING) == set(CLIENTS.values())


def test_the_recorded_file_is_in_order() -> None:
    assert list(OBSERVED) == sorted(OBSERVED)
    assert json.loads(RECORDED.read_text()) == OBSERVED


AT = "2026-11-24T22:59:01.1Z [info     ]"
PATH = "/v2/pals request_id=r-1"
LOG = f"""
{AT} request  client=curl/8.5.0 method=GET ms=1.2 path={PATH} route=/v2/pals status=200
{AT} request  client='Mozilla/5.0 (X11)' method=GET ms=1.2 path={PATH} route=/v2/pals status=401
{AT} request  client= method=GET ms=1.2 path=/ready request_id=r-1 route=None status=200
{AT} request  client=x method=BREW ms=1.2 path={PATH} route=/v2/pals status=405
{AT} request  client=x method=GET ms=1.2 path='/v2/pals/a route=/v2/x status=2' route=/v2/pals/{{id}} status=400
{AT} ready    url=http://127.0.0.1
"""


def test_a_log_is_read_line_by_line() -> None:
    assert together(observed_in(LOG)) == {
        "GET /v2/pals": {"curl": [200], "tests": [200, 401]},
        "GET /v2/pals/{id}": {"tests": [400]},
    }

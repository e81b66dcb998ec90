"""Fixtures for all tests: a running server, a client of it, a PAL to work on."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import settings

from tests import recording
from tests.ports import kept_port
from tests.serving import BACKEND, STOCK_FACE, Palace, start_palace

# An example that takes long tells of a busy machine, and not of slow code.
settings.register_profile("palace", settings(), deadline=None)
settings.load_profile("palace")


def pytest_sessionfinish() -> None:
    """After the last test every server has been stopped, and its log is complete."""
    recording.finish()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is about the one file of SQLite belongs to `make test`, not where PALACE_TEST_DATABASE names another one."""
    if BACKEND != "file":
        gone = [item for item in items if item.get_closest_marker("about_the_file")]
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=gone)


@pytest.fixture(autouse=True)
def the_umask_stays() -> Iterator[None]:
    """A server makes private files; one that runs in this process must not make those of later tests private too."""
    mask = os.umask(0)
    os.umask(mask)
    yield
    os.umask(mask)


@pytest.fixture(scope="session")
def palace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """One server for all tests that only need one; they keep out of each other's way by using objects of their own."""
    with start_palace(tmp_path_factory.mktemp("palace") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def api(palace: Palace) -> Iterator[httpx.Client]:
    """A client with the key of the first account."""
    with palace.client() as client:
        yield client


@pytest.fixture(scope="session")
def neighbour(palace: Palace) -> Iterator[httpx.Client]:
    """A client with the key of another account."""
    with palace.client(palace.new_key("neighbour")) as client:
        yield client


@pytest.fixture
def port() -> Iterator[int]:
    """Where nobody listens until the test does."""
    with kept_port() as port:
        yield port


@pytest.fixture
def new_pal(api: httpx.Client) -> Callable[..., str]:
    """Makes a PAL with the given members and returns its id."""

    def make(**members: Any) -> str:
        body = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE} | members
        answer = api.post("/v2/pals", json=body)
        assert answer.status_code == 200, answer.text
        pal_id: str = answer.json()["pal_id"]
        return pal_id

    return make


NUMBERS = count(1)


@pytest.fixture
def new_tool(api: httpx.Client) -> Callable[..., str]:
    """Makes a tool with the given members and a name of its own, and returns its id."""

    def make(**members: Any) -> str:
        body = {"name": f"tool_{next(NUMBERS)}", "description": "Tells the price of a room."} | members
        answer = api.post("/v2/tools", json=body)
        assert answer.status_code == 200, answer.text
        tool_id: str = answer.json()["tool_id"]
        return tool_id

    return make

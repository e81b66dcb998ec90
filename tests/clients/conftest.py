"""A server of their own for other people's clients, whose lists show little else, and the vendor's programs."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.apart import (
    ASKS_FOR_UPDATES,
    CommandLine,
    Launcher,
    Mcp,
    Outside,
    environment,
    nothing_outside,
    with_shim,
)
from tests.serving import Palace, start_palace


@pytest.fixture(scope="session")
def palace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """One server for all clients."""
    with start_palace(tmp_path_factory.mktemp("clients") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def api(palace: Palace) -> Iterator[httpx.Client]:
    """A client with the key of the first account."""
    with palace.client() as client:
        yield client


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """A proxy for everything that is not the server; after the last test, nobody must have called anybody."""
    with nothing_outside() as proxy:
        yield proxy
    assert set(proxy.calls) <= {ASKS_FOR_UPDATES}


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Starts commands quickly."""
    with Launcher() as running:
        yield running


@pytest.fixture
def tavus(palace: Palace, outside: Outside, launcher: Launcher, tmp_path: Path) -> CommandLine:
    """`tavus`, told nothing but URL and key."""
    return CommandLine(tmp_path, environment(f"{palace.url}/v2", tmp_path, outside), launcher)


@pytest.fixture(scope="session")
def mcp(palace: Palace, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mcp]:
    """`tavus-mcp`, told nothing but URL and key; where it joins a room it finds our stand-in for Daily's module."""
    home = tmp_path_factory.mktemp("mcp")
    with Mcp(home, with_shim(environment(f"{palace.url}/v2", home, outside))) as server:
        yield server

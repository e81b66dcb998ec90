"""A server on every backend there is, one after the other, and two accounts on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.generic.subjects import Client
from tests.serving import BACKENDS, Palace, start_palace


@pytest.fixture(scope="session", params=BACKENDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """A server of these suites' own."""
    data, flags = tmp_path_factory.mktemp(request.param) / "data", BACKENDS[request.param]
    with start_palace(data, *flags, PALACE_DURABILITY="normal") as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Palace) -> Iterator[Client]:
    """A client with the key of the first account."""
    with server.client() as http:
        yield Client(http)


@pytest.fixture(scope="session")
def stranger(server: Palace) -> Iterator[Client]:
    """A client with the key of another account."""
    with other_account(server, "stranger") as stranger:
        yield stranger


@contextmanager
def other_account(server: Palace, name: str) -> Iterator[Client]:
    """A client of another account than the first one. In memory there is no other, and such tests are skipped."""
    if not server.has_file:
        pytest.skip("a store in memory has one account")
    with server.client(server.new_key(name)) as http:
        yield Client(http)

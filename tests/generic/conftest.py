"""A server on every backend there is, one after the other, and two accounts on it."""

from collections.abc import Iterator

import pytest

from tests.generic.subjects import Client
from tests.serving import BACKENDS, KINDS_OF_STORES, Palace, start_palace


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything runs on every backend, or on as many as the file says; works are run twice where it says so."""
    if "server" in metafunc.fixturenames:
        names = BACKENDS[: getattr(metafunc.module, "MOST_BACKENDS", KINDS_OF_STORES)]
        metafunc.parametrize("server", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """A server of these suites' own."""
    data = tmp_path_factory.mktemp(request.param) / "data"
    with start_palace(data, backend=request.param, PALACE_DURABILITY="normal") as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Palace) -> Iterator[Client]:
    """A client with the key of the first account."""
    with server.client() as http:
        yield Client(http)


@pytest.fixture(scope="session")
def stranger(server: Palace) -> Iterator[Client]:
    """A client with the key of another account; a server in memory has none."""
    with server.client(server.new_key("stranger")) as http:
        yield Client(http)

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_fetching import OUTSIDE
from tests.api.test_fetching_tls import certificate
from tests.ports import kept_port
from tests.tool_delivery.tool_server import HOST, ToolServer, tool_server


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of tools.example, which signs itself, with its key."""
    return certificate(tmp_path_factory.mktemp("tls"), HOST)


@pytest.fixture
def server(pem: Path) -> Iterator[ToolServer]:
    with kept_port() as port, tool_server(pem, OUTSIDE, port) as running:
        yield running

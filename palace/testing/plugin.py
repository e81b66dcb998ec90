"""The pytest plugin `palace`: the fixtures `palace_server`, `palace` and `palace_settings`.

pytest imports it at every run, so it imports little; the server is started by the first test that asks for it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from palace.testing.server import PalaceServer, start_palace

LONGEST_LOG = 20_000
_BEGIN_OF_LOG = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option `palace_settings`."""
    parser.addini(
        "palace_settings",
        "Settings of the Palace server of the tests, one a line: seed = seed.yaml. Paths are relative to rootdir.",
        type="linelist",
        default=[],
    )


@pytest.fixture(scope="session")
def palace_settings(pytestconfig: pytest.Config) -> dict[str, Any]:
    """The settings of the ini option; a fixture of this name and scope in your conftest.py takes its place."""
    lines: list[str] = pytestconfig.getini("palace_settings")
    pairs = [line.partition("=") for line in lines]
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


@pytest.fixture(scope="session")
def palace_server(palace_settings: dict[str, Any], pytestconfig: pytest.Config) -> Iterator[PalaceServer]:
    """One Palace in memory for the whole run (with pytest-xdist: for each worker)."""
    with start_palace(pytestconfig.rootpath, **palace_settings) as server:
        yield server


@pytest.fixture
def palace(palace_server: PalaceServer, request: pytest.FixtureRequest) -> PalaceServer:
    """The same Palace, as it was after its start."""
    request.node.stash[_BEGIN_OF_LOG] = len(palace_server.log)
    palace_server.reset()
    return palace_server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A test that fails shows what the server logged meanwhile."""
    report: pytest.TestReport = yield
    server = getattr(item, "funcargs", {}).get("palace_server")
    if report.when == "call" and report.failed and isinstance(server, PalaceServer):
        log = server.log[item.stash.get(_BEGIN_OF_LOG, 0) :]
        report.sections.append(("Palace log", log[-LONGEST_LOG:]))
    return report

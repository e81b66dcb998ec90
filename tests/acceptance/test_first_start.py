"""The first start on an empty PostgreSQL, by several servers at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.acceptance.register.nodes import MASTER_KEY
from tests.api.wire import count
from tests.postgres import new_database
from tests.serving import Palace, start_palace

SERVERS = 4


def test_servers_that_start_at_once_on_an_empty_database_all_start(tmp_path: Path) -> None:
    url = new_database()

    def start(number: int) -> Palace:
        return start_palace(tmp_path / f"palace-{number}", PALACE_DATABASE=url, PALACE_MASTER_KEY=MASTER_KEY)

    with ThreadPoolExecutor(SERVERS) as threads:
        starting = [threads.submit(start, number) for number in range(SERVERS)]
    started = [one.result() for one in starting if one.exception() is None]
    try:
        assert len(started) == SERVERS, next(one.exception() for one in starting if one.exception())
        totals = set()
        for palace in started:
            with palace.client() as api:
                totals.add(count(api))
        assert len(totals) == 1, "they know the same PALs"
    finally:
        for palace in started:
            palace.stop()

"""One keep-alive connection to a server, for requests one after the other."""

import json
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from typing import Any, TypeVar

from benchmarks.processes import HOST
from benchmarks.servers import OK, Server, ServerError
from benchmarks.wires import as_bytes

T = TypeVar("T")

FEWEST = 3
LONGEST_SECONDS = 10


class Client:
    """Speaks to the first node of a server."""

    def __init__(self, server: Server) -> None:
        self._headers = {**server.wire.headers, "content-type": "application/json"}
        self._connection = HTTPConnection(HOST, server.ports[0], timeout=60)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer with 200 or 201. Raises ServerError for any other status."""
        self._connection.request(method, path, as_bytes(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in OK:
            raise ServerError(f"{method} {path} answered {answer.status}: {text[:300]!r}")
        return json.loads(text)


def timed(act: Callable[[T], Any], values: Iterable[T]) -> list[float]:
    """The seconds that `act` takes for each of the values, of which the last are left out when it takes too long."""
    taken: list[float] = []
    for value in values:
        begun = time.perf_counter()
        act(value)
        taken.append(time.perf_counter() - begun)
        if len(taken) >= FEWEST and sum(taken) > LONGEST_SECONDS:
            break
    return taken

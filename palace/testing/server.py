"""Starts and ends a server for tests, and speaks to the part of it that is for tests only."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from palace.ids import Ids

if TYPE_CHECKING:
    import httpx

SECONDS_TO_START = 30
SECONDS_TO_STOP = 5
SECONDS_TO_ANSWER = 30
READY = re.compile(r"Palace is ready: +(\S+)")
LAST_LINE = "export TAVUS_API_KEY"


class NotStarted(Exception):
    """The server ended before it listened; `str()` has what it said."""


class Refused(Exception):
    """The server did not do what it was told to; `str()` has its answer."""


class PalaceServer:
    """A running server: `url`, `api_key`, and what tests tell it to do."""

    def __init__(self, url: str, api_key: str, process: subprocess.Popen[str], log: IO[bytes]) -> None:
        self.url = url
        self.api_key = api_key
        self._process = process
        self._log = log
        self._address = urlsplit(url).netloc

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which Tavus clients read where the API is and with which key."""
        return {"TAVUS_PUBLIC_API_BASE_URL": self.url, "TAVUS_API_KEY": self.api_key}

    @property
    def log(self) -> str:
        """What the server has logged."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def client(self, **options: Any) -> "httpx.Client":
        """An httpx client with the address and the key; close it, or use it in a `with` block."""
        import httpx

        headers = {"x-api-key": self.api_key, **options.pop("headers", {})}
        return httpx.Client(base_url=self.url, headers=headers, **options)

    def reset(self) -> None:
        """Everything is as it was after the start: objects, ids, clock and faults."""
        self._ask("POST", "/_palace/reset")

    def fault(self, answer: str, *, method: str | None = None, path: str | None = None, times: int = 1) -> None:
        """The next `times` requests that match fail, as in `fault("429;retry-after=1", path="/v2/pals/*")`."""
        match = {name: value for name, value in (("method", method), ("path", path)) if value is not None}
        self._ask("POST", "/_palace/faults", {"faults": [{"match": match, "times": times, "answer": answer}]})

    def faults(self) -> list[dict[str, Any]]:
        """The faults that no request has met yet."""
        left: list[dict[str, Any]] = self._ask("GET", "/_palace/faults")["faults"]
        return left

    def clear_faults(self) -> None:
        """No more requests fail."""
        self._ask("DELETE", "/_palace/faults")

    def advance(self, seconds: float) -> None:
        """The clock, which the setting `fixed_time` holds still, goes on by so much."""
        self._ask("POST", "/_palace/clock", {"advance_seconds": seconds})

    def set_time(self, now: datetime | str) -> None:
        """The clock, which the setting `fixed_time` holds still, stands at another moment."""
        self._ask("POST", "/_palace/clock", {"now": now if isinstance(now, str) else now.isoformat()})

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:  # A request is slow on purpose, for instance.
            self._process.kill()
            self._process.wait(SECONDS_TO_STOP)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=SECONDS_TO_ANSWER)
        headers = {"x-api-key": self.api_key, "content-type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise Refused(f"{method} {path}: {answer.status} {_message(text)}")
        return json.loads(text) if text else None


def _message(answer: bytes) -> str:
    """What an error of the server says."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):  # Not Palace's own answer: that of a proxy, for instance.
        return answer.decode("utf-8", "replace")


@contextmanager
def start_palace(folder: str | Path | None = None, **settings: Any) -> Iterator[PalaceServer]:
    """A server in memory until the end of the block, with these settings, as in `seed="seed.yaml"`.

    Paths in settings are relative to `folder`. The server also ends when this process does. Raises NotStarted.
    """
    key = str(settings.get("api_key") or Ids().new("test-", 32))
    chosen = {"ephemeral": True, "port": 0, **settings, "api_key": key}
    with tempfile.TemporaryFile() as log:
        process = _start(folder, _environment(chosen), log)
        try:
            yield PalaceServer(_address(process, log), key, process, log)
        finally:
            if process.poll() is None:
                PalaceServer("", key, process, log).stop()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """This process's environment, but of Palace's variables those of the settings only."""
    from palace.settings import PREFIX, Settings

    unknown = settings.keys() - set(Settings.__dataclass_fields__)
    if unknown:
        near = get_close_matches(min(unknown), Settings.__dataclass_fields__, n=1)
        guess = f" Did you mean {near[0]}?" if near else " They are listed by `palace serve --help`."
        raise NotStarted(f"Palace has no setting {', '.join(sorted(unknown))}.{guess}")
    kept = {name: value for name, value in _inherited().items() if not name.startswith(PREFIX)}
    return kept | {PREFIX + name.upper(): str(value) for name, value in settings.items()}


def _inherited() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - that of the tests, which the server of the tests gets


def _start(folder: str | Path | None, environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "palace", "serve", "--stop-with-stdin"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests: they end the server when they are done with it.
    )


def _address(process: subprocess.Popen[str], log: IO[bytes]) -> str:
    assert process.stdout is not None
    giving_up = threading.Timer(SECONDS_TO_START, process.kill)
    giving_up.start()
    url = ""
    for line in process.stdout:
        url = found[1] if (found := READY.search(line)) else url
        if LAST_LINE in line:
            break
    giving_up.cancel()
    if not url:
        process.wait()
        log.seek(0)
        raise NotStarted(log.read().decode("utf-8", "replace").strip() or "Palace said nothing and ended.")
    return url

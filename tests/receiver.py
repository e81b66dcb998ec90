"""Receivers of callbacks: web servers on the loopback interface that note down what they are sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.web import WebServer

Answer = tuple[int, Mapping[str, str], bytes]
OK: Answer = (200, {}, b"")


@dataclass(frozen=True)
class Call:
    """One request: where it went, and what it was."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What a server was sent, in order, and what it answers: always the same, or what a function says."""

    port: int
    calls: list[Call] = field(default_factory=list)
    answers: Answer | Callable[[Call], Answer] = OK

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def ids(self) -> list[str]:
        return [call.id for call in self.calls]

    def wait(self, count: int = 1, seconds: float = 20) -> list[Call]:
        """All calls, once there are so many."""
        deadline = time.monotonic() + seconds
        while len(self.calls) < count:
            assert time.monotonic() < deadline, f"{len(self.calls)} of {count} calls came"
            time.sleep(0.01)
        return list(self.calls)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        call = Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.receiver.calls.append(call)
        answers = self.receiver.answers
        status, headers, said = answers(call) if callable(answers) else answers
        self.send_response(status)
        for name, value in {"content-length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiver(port: int = 0, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A server that runs while the context does."""
    handler = type("ReceiverHandler", (_Handler,), {})
    server = WebServer((host, port), handler)
    handler.receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield handler.receiver
    finally:
        server.shutdown()
        server.server_close()

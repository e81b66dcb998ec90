"""A server of somebody's tools: real HTTPS on a loopback address that plays the part of the internet."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from palace.clock import Clock
from palace.fetching import Fetcher
from palace.tool_delivery import Delivered, Facts, Tokens, deliver
from tests.api.test_fetching import ALLOWED, OUTSIDE, Names
from tests.skipping import Skipping, run
from tests.web import WebServer

HOST = "tools.example"
FACTS = Facts("c0123456789abcdef", "call_1", {"tavus_pal_id": "pabc"})


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, Mapping[str, str], bytes] | Callable[["Handler", Asked], None]
OK: Answer = (200, {"content-type": "application/json"}, b'{"price": 90}')


@dataclass
class ToolServer:
    """Answers in turn, the last one for ever; what it was asked, in order."""

    port: int
    trust: ssl.SSLContext
    answers: list[Answer] = field(default_factory=lambda: [OK])
    by_path: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    allowed: Any = ALLOWED
    names: Names = field(default_factory=lambda: Names([OUTSIDE]))
    caller: Skipping = field(init=False)
    """where the newest call waits"""

    def url(self, path: str = "/rate", host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"

    def fetcher(self) -> Fetcher:
        return Fetcher(self.allowed, self.names, lambda: self.trust)

    def tool(self, path: str = "/rate", **api: Any) -> dict[str, Any]:
        """A tool with its secrets open, as `deliver` takes it."""
        return tool_at(self.url(path), **api)

    def deliver(self, tool: dict[str, Any], arguments: Mapping[str, Any], tokens: Tokens | None = None) -> Delivered:
        self.caller, clock = Skipping(), Clock()
        return run(deliver(tool, arguments, FACTS, self.fetcher(), clock, tokens or Tokens(clock)), self.caller)


def tool_at(url: str, **api: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "url": url,
        "method": "POST",
        "timeout": 5,
        "headers": None,
        "auth": None,
        "body_template": None,
        "query_params": None,
        "content_type": None,
    }
    return {
        "tool_id": "t0123456789ab",
        "name": "room_rate",
        "parameters": {"type": "object"},
        "delivery": {"app_message": False, "api": {**defaults, **api}},
    }


class Handler(BaseHTTPRequestHandler):
    server_of_tools: ToolServer

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # The other side went away: some tests are about that.
            self.close_connection = True

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        server = self.server_of_tools
        server.asked.append(asked)
        answer = server.by_path.get(self.path.partition("?")[0])
        if answer is None:
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if callable(answer):
            answer(self, asked)
            return
        status, told, body = answer
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **told}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def log_message(self, *_: object) -> None:
        pass


def echo(handler: Handler, asked: Asked) -> None:
    """Sends back everything that came."""
    body = json.dumps({"path": asked.path, "headers": asked.headers, "body": asked.body.decode()}).encode()
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def cut_off(handler: Handler, _asked: Asked) -> None:
    """Ends in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")


def silent(handler: Handler, _asked: Asked) -> None:
    """Says nothing, and breaks off after half a minute or when whoever asked has left."""
    handler.connection.settimeout(30)
    handler.rfile.read(1)


@contextmanager
def tool_server(pem: Path, address: str = OUTSIDE, port: int = 0) -> Iterator[ToolServer]:
    """A server that runs while the context does, with the certificate and the key in `pem`."""
    handler = type("ToolHandler", (Handler,), {})
    server = WebServer((address, port), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    handler.server_of_tools = ToolServer(server.server_address[1], ssl.create_default_context(cafile=pem))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield handler.server_of_tools
    finally:
        server.shutdown()
        server.server_close()

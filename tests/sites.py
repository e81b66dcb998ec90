"""Small web servers on the loopback interface, for what the server under test fetches."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.web import WebServer

Headers = Mapping[str, str]
Answer = tuple[int, Headers, bytes] | Callable[["Handler"], None]


@dataclass
class Site:
    """What a server has, by its paths, and what it was asked for."""

    port: int
    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str, host: str = "pictures.example") -> str:
        return f"http://{host}:{self.port}{path}"


class Handler(BaseHTTPRequestHandler):
    """Answers with the page of its path."""

    site: Site

    def do_GET(self) -> None:
        page = self.site.pages.get(self.path, (404, {}, b""))
        self.site.headers.append(dict(self.headers))
        self.site.asked.append(self.path)
        if callable(page):
            page(self)
            return
        status, headers, body = page
        self.begin(status, {"content-length": str(len(body)), **headers})
        self.wfile.write(body)

    def begin(self, status: int, headers: Headers) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def site(host: str = "127.0.0.1", port: int = 0) -> Iterator[Site]:
    """A server that runs while the context does."""
    handler = type("SiteHandler", (Handler,), {})
    server = WebServer((host, port), handler)
    server.daemon_threads = True
    handler.site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield handler.site
    finally:
        server.shutdown()
        server.server_close()

"""A small collector of OpenTelemetry: what it was sent by OTLP over HTTP, decoded."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.web import WebServer

SECONDS = 20


@dataclass
class Span:
    """One span, in plain words."""

    name: str
    trace: str
    id: str
    parent: str
    started: int
    ended: int
    attributes: dict[str, Any]
    is_error: bool


@dataclass
class Collector:
    """Where it listens, and what came."""

    url: str
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Decode one request of an exporter."""
        self.raw.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_plain(group.resource.attributes))
            self.spans += [_span(span) for scope in group.scope_spans for span in scope.spans]

    def span(self, name: str) -> Span:
        """The first span of this name, once it is there."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for span in list(self.spans):
                if span.name == name:
                    return span
            time.sleep(0.05)
        raise AssertionError(f"no span {name!r}, only {[span.name for span in self.spans]}")


def _span(span: Any) -> Span:
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _plain(span.attributes),
        span.status.code == span.status.STATUS_CODE_ERROR,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that listens while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            if self.path == "/v1/traces":
                found.take(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = WebServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()

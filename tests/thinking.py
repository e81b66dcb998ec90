"""A language model that a test thinks for: a server that speaks OpenAI's chat completions, real HTTP in threads."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.engines.model_server import Call, chunks_of
from tests.web import WebServer

Thought = tuple[str, Sequence[Call]] | int
"""What is said and called, or the status of an error."""
KEY_OF_THE_MODEL = "sk-of-the-operator-0123456789"


@dataclass
class Mind:
    """Thinks, and remembers what it was asked."""

    port: int
    think: Callable[[Any], Thought] = lambda _asked: ("Hello.", ())
    asked: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def table(self, folder: Path) -> str:
        """A file for `--models`: this one serves every name."""
        path = folder / "models.json"
        entry = {"base_url": self.url, "model": "mind", "api_key": KEY_OF_THE_MODEL}
        path.write_text(json.dumps({"default": entry}))
        return str(path)


class _Handler(BaseHTTPRequestHandler):
    mind: Mind
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.mind.asked.append(asked)
        thought = self.mind.think(asked)
        if isinstance(thought, int):
            self._send(thought, "application/json", b'{"error": {"type": "some_error"}}')
            return
        chunks = [json.dumps(one).encode() for one in chunks_of(*thought, usage=True)]
        self._send(200, "text/event-stream", b"".join(b"data: %b\n\n" % one for one in [*chunks, b"[DONE]"]))

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def mind(think: Callable[[Any], Thought] | None = None) -> Iterator[Mind]:
    """A model that thinks while the context lasts."""
    handler = type("MindHandler", (_Handler,), {})
    server = WebServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.mind = Mind(server.server_address[1])
    handler.mind.think = think or handler.mind.think
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield handler.mind
    finally:
        server.shutdown()
        server.server_close()

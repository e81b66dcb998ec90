"""A small server that speaks OpenAI's chat completions as it is told to: slow, broken, full, or well.

    with serve_model() as server:
        server.answer("Good evening. How can I help?")
        server.answer("Just a moment.", calls=[("find_room", {"beds": 2})])
        server.refuse(429, retry_after="1")
        ...  # something asks the model at server.url
        assert server.asked[0].body["messages"][-1]["content"] == "Hello."

What is told is done in this order, once each; then every question is answered with `server.otherwise`. The server is
real HTTP/1.1 in a thread of its own. Nothing sleeps: what is silent stays so until whoever asked has left.
"""

import asyncio
import json
import re
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Call = tuple[str, Mapping[str, Any] | str]

MODEL = "small-model-1"


@dataclass(frozen=True)
class Doing:
    """What the server does with one question."""

    chunks: Sequence[Any] = ()
    """JSON values; bytes are sent as they are"""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    """of an answer that is no stream"""
    silent_after: int | None = None
    """chunks after which nothing comes any more; 0: not even the headers"""
    cut_after: int | None = None
    """chunks after which the connection is cut; 0: before the headers"""
    says_done: bool = True


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any
    has_left: threading.Event = field(default_factory=threading.Event)
    """set when whoever asked closed the connection before the end of the answer"""

    @property
    def text(self) -> str:
        """What the last message says."""
        return str(self.body["messages"][-1]["content"])


def chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice], **more}


def chunks_of(text: str, calls: Sequence[Call], *, usage: bool) -> Iterator[dict[str, Any]]:
    """An answer as OpenAI streams it: a role, words, calls whose arguments come in two parts, the end, the usage."""
    yield chunk({"role": "assistant", "content": ""})
    words = re.findall(r"\S+\s*", text)
    yield from (chunk({"content": word}) for word in words)
    for index, (name, arguments) in enumerate(calls):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]})
        for part in (written[:5], written[5:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    yield chunk({}, "tool_calls" if calls else "stop")
    if usage:
        tokens = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
        yield chunk({}) | {"choices": [], "usage": tokens}


class ModelServer:
    """What a test tells the server, and what the server was asked."""

    def __init__(self) -> None:
        self.url = ""
        """the `base_url`"""
        self.asked: list[Asked] = []
        self.connections = 0
        self.otherwise = Doing(tuple(chunks_of("Hello.", (), usage=True)))
        self._todo: deque[Doing] = deque()

    def answer(
        self,
        text: str = "",
        calls: Sequence[Call] = (),
        *,
        usage: bool = True,
        silent_after: int | None = None,
        cut_after: int | None = None,
    ) -> None:
        """Answer the next question; the first chunk has no text, each further one has a word."""
        chunks = tuple(chunks_of(text, calls, usage=usage))
        self.do(Doing(chunks, silent_after=silent_after, cut_after=cut_after))

    def refuse(self, status: int, error: Any = None, *, retry_after: str | None = None) -> None:
        """Answer the next question with an error."""
        headers = {"content-type": "application/json"} | ({} if retry_after is None else {"retry-after": retry_after})
        body = json.dumps({"error": error or {"message": "No.", "type": "some_error"}}).encode()
        self.do(Doing(status=status, headers=headers, body=body))

    def do(self, doing: Doing) -> None:
        """Do anything with the next question."""
        self._todo.append(doing)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used for another one."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(head[0].split(" ")[1], headers, json.loads(body))
        self.asked.append(asked)
        doing = self._todo.popleft() if self._todo else self.otherwise
        writing = asyncio.create_task(self._write(doing, writer))
        leaving = asyncio.create_task(reader.read(1))
        done, _ = await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if writing in done:
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            return writing.result()
        writing.cancel()
        asked.has_left.set()
        return False

    async def _write(self, doing: Doing, writer: asyncio.StreamWriter) -> bool:
        if doing.cut_after == 0:
            return False
        if doing.silent_after == 0:
            await asyncio.Event().wait()
        is_stream = doing.status == 200 and not doing.body
        told = {"content-type": "text/event-stream"} if is_stream else {}
        told |= {"transfer-encoding": "chunked"} if is_stream else {"content-length": str(len(doing.body))}
        lines = [f"{name}: {value}" for name, value in (told | dict(doing.headers)).items()]
        writer.write("\r\n".join([f"HTTP/1.1 {doing.status} So", *lines, "", ""]).encode() + doing.body)
        await writer.drain()
        if not is_stream:
            return True
        for number, one in enumerate([*doing.chunks, *([b"data: [DONE]\n\n"] if doing.says_done else [])]):
            if number == doing.silent_after:
                await asyncio.Event().wait()
            if number == doing.cut_after:
                return False
            data = one if isinstance(one, bytes) else b"data: " + json.dumps(one).encode() + b"\n\n"
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@contextmanager
def serve_model(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[ModelServer]:
    """A server that runs while the context does."""
    server = ModelServer()
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server._serve, host, 0, ssl=tls))
    server.url = f"{'https' if tls else 'http'}://{host}:{listening.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()

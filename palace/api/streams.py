"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): text that goes out as it comes.

Pages of a browser read them with `fetch`, because their EventSource cannot send the header x-api-key.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.types import Receive, Scope, Send

HEADERS: Mapping[bytes, bytes] = {
    b"content-type": b"text/event-stream; charset=utf-8",
    b"cache-control": b"no-store",
    b"x-accel-buffering": b"no",
}
"""The last one has nginx pass everything on at once."""
RETRY_MILLISECONDS = 1000
LOOK_SECONDS = 15.0
"""how long a revoked key may go on to listen"""
SLOWEST_SECONDS = 20.0
"""So long a client may take to accept what waits for it."""


async def _always() -> bool:
    return True


async def send_stream(
    texts: AsyncIterator[bytes],
    scope: Scope,
    receive: Receive,
    send: Send,
    is_open: Callable[[], Awaitable[bool]] = _always,
) -> None:
    """Send the texts until there are no more, the client goes away or takes none, or nobody may listen any more."""
    scope["palace.is_stream"] = True
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS.items())})
    if scope["method"] != "HEAD":
        tasks = [asyncio.create_task(work) for work in (_send_all(texts, send), _gone(receive), _watch(is_open))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in reversed(tasks):
            task.cancel()
        with suppress(asyncio.CancelledError, TimeoutError):
            await tasks[0]
    await send({"type": "http.response.body", "body": b""})


async def _send_all(texts: AsyncIterator[bytes], send: Send) -> None:
    await send({"type": "http.response.body", "body": b"retry: %d\n\n" % RETRY_MILLISECONDS, "more_body": True})
    async for text in texts:
        async with asyncio.timeout(SLOWEST_SECONDS):
            await send({"type": "http.response.body", "body": text, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        """A body means nothing here."""


async def _watch(is_open: Callable[[], Awaitable[bool]]) -> None:
    while await is_open():
        await asyncio.sleep(LOOK_SECONDS)

"""The physical limit of an answer: `python -m benchmarks.rivals.raw` says the same 3 KB to whatever it is asked.

uvicorn with uvloop and httptools, as Palace runs on it, and an ASGI application of two messages: no framework, no key,
no routing, no database. Of a PATCH it reads the body and forgets it.
"""

import argparse
import json

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPResponseBodyEvent, HTTPResponseStartEvent, Scope

from benchmarks.workload import new_pal

_BODY = json.dumps({**new_pal(0), "pal_id": "raw"}).encode()
_START: HTTPResponseStartEvent = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())],
    "trailers": False,
}
_END: HTTPResponseBodyEvent = {"type": "http.response.body", "body": _BODY, "more_body": False}


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Read the whole request and answer."""
    assert scope["type"] == "http"
    if scope["method"] != "GET":
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
    await send(_START)
    await send(_END)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals.raw")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    settings = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "log_level": "warning", "access_log": False}
    uvicorn.run(application, host="127.0.0.1", port=port, **settings)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()

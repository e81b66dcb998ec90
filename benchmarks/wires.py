"""How each kind of server is asked for the same thing: paths, headers, and how it is told of a change."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.processes import HOST
from benchmarks.workload import ID, NUMBER, Kind, operations_text, patch_number, patched_text


def _same(body: Any) -> Any:
    return body


def _id_of_pal(answer: Any) -> str:
    return str(answer["pal_id"])


def _operations(pal: dict[str, Any]) -> str:
    return operations_text()


@dataclass(frozen=True)
class Wire:
    """One dialect. The PAL is the same everywhere; some servers wrap it, and one has no JSON Patch."""

    collection: str
    """The path that creates; an object is read and patched below it, by its id."""
    headers: Mapping[str, str] = field(repr=False)
    patch: Callable[[dict[str, Any]], str] = _operations
    """The body of a PATCH of a PAL as JSON, with NUMBER where the number of the patch belongs."""
    patch_type: str = "application/json"
    wrap: Callable[[dict[str, Any]], Any] = _same
    unwrap: Callable[[Any], Any] = _same
    id_of: Callable[[Any], str] = _id_of_pal


def pal_wire(api_key: str) -> Wire:
    """The Tavus API, as Palace and the conventional server speak it."""
    return Wire("/v2/pals", {"x-api-key": api_key})


def kinto_wire(authorization: str) -> Wire:
    """Kinto: JSON Patch on a record, whose document lies under `/data`."""
    return Wire(
        "/v1/buckets/bench/collections/pals/records",
        {"authorization": authorization},
        patch=lambda pal: operations_text("/data"),
        patch_type="application/json-patch+json",
        wrap=lambda pal: {"data": pal},
        unwrap=lambda answer: answer["data"],
        id_of=lambda answer: str(answer["data"]["id"]),
    )


def pocketbase_wire(token: str) -> Wire:
    """PocketBase: a PATCH replaces fields of a record, so the client sends the whole document."""
    return Wire(
        "/api/collections/pals/records",
        {"authorization": token},
        patch=lambda pal: '{"document": ' + patched_text(pal) + "}",
        wrap=lambda pal: {"document": pal},
        unwrap=lambda answer: answer["document"],
        id_of=lambda answer: str(answer["id"]),
    )


def request_text(wire: Wire, kind: Kind, port: int, pal: dict[str, Any]) -> str:
    """A whole keep-alive request as text, with ID and NUMBER where those belong."""
    head = [f"{kind} {wire.collection}/{ID} HTTP/1.1", f"host: {HOST}:{port}"]
    head += [f"{name}: {value}" for name, value in wire.headers.items()]
    if kind == "GET":
        return "\r\n".join([*head, "", ""])
    body = wire.patch(pal)
    length = len(body.replace(NUMBER, patch_number(0).decode()).encode())
    return "\r\n".join([*head, f"content-type: {wire.patch_type}", f"content-length: {length}", "", body])


def as_bytes(body: Any) -> bytes | None:
    """A body as it travels; None stays None."""
    return None if body is None else json.dumps(body).encode()

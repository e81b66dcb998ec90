"""One path of a resource: a request becomes a `Call`, a `Reply` becomes an answer."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from palace.api.auth import admitted, authenticate
from palace.api.bodies import (
    DOCUMENT_TYPES,
    MERGE_PATCH,
    PATCH_TYPES,
    Headers,
    media_type,
    parse_document,
    parse_patch,
    read_body,
    send_json,
)
from palace.api.idempotency import answered_once
from palace.api.streams import send_stream
from palace.call import Call, Reply
from palace.errors import BadRequest, ClientError, Detail, KeyInUse, MalformedPatch, MethodNotAllowed, PatchDoesNotFit
from palace.resource import Endpoint, Resource, Services
from palace.storage import AnswerTaken, StorageFailure
from palace.verbs.queries import checked_comment
from palace.vocabulary import Aliases, AmbiguousAlias, Words, canonical_document, canonical_patch

READ_METHODS = ("GET", "HEAD")
EVENTS = "text/event-stream"


class ResourcePath:
    """All methods of one path, as an ASGI application."""

    def __init__(
        self,
        route: str,
        resource: Resource,
        methods: Mapping[str, Endpoint],
        words: Words,
        services: Services,
        largest_body: int,
    ) -> None:
        self._route = route
        self._resource = resource
        self._methods = methods
        self._words = words
        self._services = services
        self._largest_body = largest_body
        # A patch wraps its values in two levels: the array, and the operation.
        self._patch_limits = replace(services.limits, depth=services.limits.depth + 2)
        self._may_hold_aliases = re.compile("|".join([*words.known.spellings(), r"\\u00"]).encode("ascii")).search

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ClientError."""
        scope["palace.words"] = self._words
        scope["palace.route"] = self._route
        endpoint = self._methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if endpoint is None:
            raise not_allowed(scope["method"], self._methods)
        headers = Headers(scope)
        account = await admitted(scope, headers, self._services)
        call = Call(account, self._words, scope["path_params"], request_id=scope["palace.request_id"])
        call.parts = scope.get("palace.parts")
        if scope["query_string"]:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            call.query = self._canonical(query)
        call.if_none_match = headers.get(b"if-none-match")
        call.wants_events = EVENTS in (headers.get(b"accept") or "")
        call.last_event_id = headers.get(b"last-event-id")
        handler = partial(endpoint.handler, self._resource, call, self._services)
        if endpoint.method == "GET":
            reply = await handler()
        else:
            try:
                body = await self._read(call, endpoint, headers, receive)
                self._take_headers(call, headers)
                reply = await answered_once(call, scope, headers, body, handler, self._services)
            except (MalformedPatch, PatchDoesNotFit) as error:
                raise self._resource.worded(error) from error
        if reply.events is None:
            await send_reply(reply, self._words, send)
            return
        try:
            async with reply.events as texts:
                await send_stream(texts, scope, receive, send, partial(self._is_open, headers))
        except AnswerTaken as error:  # Nothing was sent yet, and nothing has happened.
            raise KeyInUse from error

    async def _is_open(self, headers: Headers) -> bool:
        """Whether the key of a request has not been revoked meanwhile."""
        try:
            await authenticate(headers.get(b"x-api-key"), self._services.store.reading)
        except ClientError:
            return False
        except StorageFailure:
            """Nobody can tell."""
        return True

    async def _read(self, call: Call, endpoint: Endpoint, headers: Headers, receive: Receive) -> bytes:
        if endpoint.body == "none":
            return b""
        is_patch = endpoint.body == "patch"
        if endpoint.body == "optional" and headers.get(b"content-length") in (None, "0") and not headers.is_chunked:
            return b""
        media = media_type(headers, PATCH_TYPES if is_patch else DOCUMENT_TYPES)
        body = await read_body(headers, receive, self._largest_body)
        if is_patch:
            self._services.meter.observe("patch_bytes", len(body))
        call.is_merge_patch = media == MERGE_PATCH
        if is_patch and not call.is_merge_patch:
            call.body_as_sent = parse_patch(body, self._patch_limits)
            if isinstance(call.body_as_sent, list):
                self._services.meter.observe("patch_operations", len(call.body_as_sent))
        else:
            call.body_as_sent = parse_document(body, self._services.limits)
        call.body = call.body_as_sent
        if self._may_hold_aliases(body):
            translate = canonical_patch if is_patch and not call.is_merge_patch else canonical_document
            call.body = self._canonical(call.body_as_sent, translate)
        return body

    def _take_headers(self, call: Call, headers: Headers) -> None:
        """What a client may say about a change, apart from the change."""
        call.if_match = headers.get(b"if-match")
        prefer = headers.get(b"prefer")
        if prefer is not None:
            wishes = {wish.strip().lower() for wish in prefer.replace(";", ",").split(",")}
            call.wants_representation = "return=representation" in wishes
            call.is_lenient = "handling=lenient" in wishes
        comment = headers.get(b"x-comment")
        comment = unquote(comment) if comment is not None else call.query.get("comment")
        if comment is not None:
            call.comment = checked_comment(comment)

    def _canonical(self, sent: Any, translate: Callable[[Any, Aliases], Any] = canonical_document) -> Any:
        """What was sent, in the vocabulary used inside. Raises BadRequest for two spellings that differ."""
        try:
            return translate(sent, self._words.known)
        except AmbiguousAlias as error:
            raise BadRequest(f"Bad Request. {error}", [Detail("ambiguous_alias", str(error))]) from error


class _Named:
    """An application, and the path under which the log, traces and figures tell its requests."""

    def __init__(self, path: str, application: ASGIApp) -> None:
        self._path = path
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["palace.route"] = self._path
        await self._application(scope, receive, send)


def named_route(path: str, application: ASGIApp) -> BaseRoute:
    """A route to what is no operation of a resource."""
    return Route(path, _Named(path, application))


async def send_reply(reply: Reply, words: Words, send: Send) -> None:
    """The reply in the words of its route."""
    body = None if reply.status in (204, 304) else _spelled(reply, words)
    await send_json(reply.status, body, reply.headers, send)


def _spelled(reply: Reply, words: Words) -> bytes:
    document = reply.document
    if not words.is_legacy or reply.is_spelled:
        return document
    shown = orjson.loads(document)
    if isinstance(shown.get("data"), list):  # A page of documents.
        return orjson.dumps({**shown, "data": [words.document(item) for item in shown["data"]]})
    return orjson.dumps(words.document(shown))


def not_allowed(method: str, known: Iterable[str]) -> MethodNotAllowed:
    """The 405 that names the methods there are."""
    allowed = sorted({*known, "HEAD"} if "GET" in known else known)
    problem = f"There is no {method} here, only {', '.join(allowed)}."
    return MethodNotAllowed(problem, headers={"allow": ", ".join(allowed)})

"""What the command line asks a server by HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import orjson

from palace import __version__
from palace.client.refusals import Document, RemoteError, body_of, refusal

if TYPE_CHECKING:
    import httpx

SECONDS_TO_WAIT = 30
SECONDS_OF_A_TURN = 20
"""So long a request waits for the end of a turn before it is asked again."""
PAGE = 100
OnDraft = Literal["refuse", "rebase", "discard"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A PAL as it was read, and what guards a write that starts from it."""

    document: Document
    etag: str
    revision: int | None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a write is to be carried out. `if_match` is an ETag; an empty text stands for not sent."""

    comment: str = ""
    if_match: str = ""
    on_draft: OnDraft = "refuse"
    is_merge_patch: bool = False
    idempotency_key: str = ""


PLAIN = Terms()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write. `document` is empty when nothing changed."""

    changed: bool
    document: Document
    etag: str
    revision: int | None
    stored_differently: list[Document] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a write would do. `touched` are the pointers of the members that would become other ones."""

    changed: bool
    document: Document
    touched: list[str]
    effects: list[Document]


class Remote:
    """The PALs and conversations of one server, with one key. Every method raises RemoteError."""

    def __init__(self, url: str, key: str) -> None:
        self.url = normal_url(url)
        if not key:
            raise RemoteError(
                "There is no API key: set TAVUS_API_KEY. `palace serve` tells where the first one is, "
                "`palace keys create` makes another."
            )
        if not key.isascii() or not key.isprintable():
            raise RemoteError("The API key has characters that no key has; was it cut or wrapped?")
        import httpx  # Only here: it takes longer to import than everything that other commands need.

        headers = {"x-api-key": key, "user-agent": f"palace/{__version__}"}
        self.key = key
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS_TO_WAIT)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- Reading

    def pals(self, *, owned: Literal["user", "system", "all"] = "user") -> list[Document]:
        """All PALs, oldest first: the account's own, stock ones, or both."""
        found: list[Document] = []
        while True:
            query = {"limit": PAGE, "page": len(found) // PAGE + 1, "pal_type": owned}
            page = self._json("GET", "/v2/pals", query=query)
            found += page["data"]
            if len(page["data"]) < PAGE:
                return found

    def document(self, id: str) -> Document:
        """One PAL as it is now."""
        return self._json("GET", _pal(id))

    def pal(self, id: str) -> Seen:
        """One PAL as it is now, to be changed. The server must be one that can guard and preview writes."""
        answer = self._send("GET", _pal(id))
        etag = answer.headers.get("etag", "")
        if not etag:
            raise RemoteError(
                f"{self.url} sends no ETag, so nothing can be guarded there: is it a Palace, and a new one?"
            )
        return Seen(body_of(answer), etag, _revision(answer))

    def check_previews(self) -> None:
        """Make sure that the server is one that previews instead of doing."""
        page = self._json("GET", "/v2/pals", query={"limit": 1})
        if not page["data"]:
            raise RemoteError(f"{self.url} has no PAL at all, not even a stock one: it is no Palace.")
        self.pal(page["data"][0]["pal_id"])

    def pal_at(self, id: str, number: int) -> Seen:
        """One PAL as it was at a revision."""
        found = self._json("GET", f"{_pal(id)}/revisions/{number}")
        return Seen(found["document"], found["etag"], number)

    def revisions(self, id: str, most: int) -> list[Document]:
        """The latest revisions, newest first."""
        found: list[Document] = []
        cursor = ""
        while len(found) < most:
            query = {"limit": min(PAGE, most - len(found))} | ({"cursor": cursor} if cursor else {})
            page = self._json("GET", f"{_pal(id)}/revisions", query=query)
            found += page["data"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                break
        return found

    def diff(self, id: str, earlier: int | None, later: int | None) -> Document:
        """What changed between two revisions; without numbers, what the newest one changed."""
        query = {name: number for name, number in (("from", earlier), ("to", later)) if number is not None}
        return self._json("GET", f"{_pal(id)}/diff", query=query)

    def effective(self, id: str, pointer: str = "") -> list[Document]:
        """What a conversation would use, and where it comes from: all of it, or what is at a JSON Pointer."""
        query = {"pointer": pointer} if pointer else {}
        settings: list[Document] = self._json("GET", f"{_pal(id)}/effective", query=query)["data"]
        return settings

    def rehearsal(self, id: str, rehearsal: str) -> Document:
        """One rehearsal of a PAL, as far as it has come."""
        return self._json("GET", f"{_pal(id)}/rehearsals/{quote(rehearsal, safe='')}")

    # --- Writing

    def create(self, members: Document, terms: Terms = PLAIN) -> Written:
        """Make a PAL."""
        return self._write("POST", "/v2/pals", members, terms)

    def patch(self, id: str, patch: Any, terms: Terms = PLAIN) -> Written:
        """Change a PAL with a JSON Patch or, by the terms, a merge patch."""
        return self._write("PATCH", _pal(id), patch, terms)

    def act(self, id: str, action: str, body: Document, terms: Terms = PLAIN) -> Written:
        """Carry out `rollback`, `revisions/7/revert` or `restore`."""
        return self._write("POST", f"{_pal(id)}/{action}", body, terms)

    def preview_create(self, members: Document) -> Preview:
        """What `create` would make."""
        return self._preview("POST", "/v2/pals", members, PLAIN)

    def preview_patch(self, id: str, patch: Any, terms: Terms = PLAIN) -> Preview:
        """What `patch` would do. Only for a server that `pal` has been asked of: others might carry it out."""
        return self._preview("PATCH", _pal(id), patch, terms)

    def preview_act(self, id: str, action: str, body: Document, terms: Terms = PLAIN) -> Preview:
        """What `act` would do."""
        return self._preview("POST", f"{_pal(id)}/{action}", body, terms)

    # --- Conversations

    def begin(self, members: Document) -> Document:
        """Create a conversation."""
        return body_of(self._send("POST", "/v2/conversations", body=members))

    def conversation(self, id: str) -> Document:
        """One conversation as it is now."""
        return self._json("GET", _conversation(id))

    def turn(self, id: str, seconds: int = SECONDS_OF_A_TURN) -> Document:
        """The newest turn of a conversation, when it is over or after this time."""
        return self._json("GET", f"{_conversation(id)}/respond", query={"timeout_s": seconds})

    def end(self, id: str) -> None:
        """End a conversation."""
        self._send("POST", f"{_conversation(id)}/end")

    # --- Requests

    def _write(self, method: str, path: str, body: Any, terms: Terms) -> Written:
        answer = self._send(method, path, body=body, terms=terms)
        etag = answer.headers.get("etag", "")
        if answer.status_code == 304:
            return Written(False, {}, etag, _revision(answer))
        notes = _from_header(answer.headers.get("x-stored-differently"))
        return Written(True, body_of(answer), etag, _revision(answer), notes)

    def _preview(self, method: str, path: str, body: Any, terms: Terms) -> Preview:
        answer = self._send(method, path, body=body, terms=terms, query={"dry_run": "true"})
        seen = {} if answer.status_code == 304 else body_of(answer)
        if seen.get("dry_run") is not True:
            raise RemoteError(f"{self.url} does not answer to dry_run: it is no Palace, or an older one.")
        return Preview(seen["changed"], seen["document"], seen["touched"], seen.get("effects", []))

    def _json(self, method: str, path: str, *, query: Mapping[str, Any] | None = None) -> Document:
        return body_of(self._send(method, path, query=query))

    def _send(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None, terms: Terms = PLAIN
    ) -> "httpx.Response":
        import httpx

        parameters = {**(query or {}), **ON_DRAFT[terms.on_draft]}
        content = None if body is None else _json_text(body)
        try:
            answer = self._http.request(method, path, params=parameters, content=content, headers=_headers(body, terms))
        except httpx.ConnectError as error:
            raise RemoteError(
                f"Nothing answers at {self.url}. Is the server running (`palace serve`), "
                "and is TAVUS_PUBLIC_API_BASE_URL its URL?"
            ) from error
        except httpx.TimeoutException as error:
            raise RemoteError(f"{self.url} did not answer within {SECONDS_TO_WAIT} seconds.") from error
        except httpx.HTTPError as error:
            raise RemoteError(f"The connection to {self.url} failed: {error}.") from error
        if answer.status_code == 304 or answer.is_success:
            return answer
        raise refusal(self.url, answer)


ON_DRAFT: Mapping[OnDraft, Mapping[str, str]] = {
    "refuse": {},
    "rebase": {"on_draft": "rebase"},
    "discard": {"force": "true"},
}


def normal_url(url: str) -> str:
    """The URL without a slash or `/v2` at its end. Raises RemoteError for what is no URL of a server."""
    text = url.strip().rstrip("/").removesuffix("/v2")
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not text.isprintable():
        raise RemoteError(f"TAVUS_PUBLIC_API_BASE_URL must be like http://127.0.0.1:8790; it is {url!r}.")
    return text


def _pal(id: str) -> str:
    if not id or "/" in id or not id.strip("."):
        raise RemoteError(f"{id!r} is no id of a PAL. `palace pal list` shows those there are.")
    return f"/v2/pals/{quote(id, safe='')}"


def _conversation(id: str) -> str:
    if not id or "/" in id or not id.strip("."):
        raise RemoteError(f"{id!r} is no id of a conversation.")
    return f"/v2/conversations/{quote(id, safe='')}"


def _json_text(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise RemoteError(f"This cannot be sent as JSON: {error}.") from error


def _headers(body: Any, terms: Terms) -> dict[str, str]:
    media = "application/merge-patch+json" if terms.is_merge_patch else "application/json"
    sent = {
        "content-type": media if body is not None else "",
        "if-match": terms.if_match,
        "x-comment": quote(terms.comment, safe=" "),
        "idempotency-key": terms.idempotency_key,
    }
    return {name: value for name, value in sent.items() if value}


def _revision(answer: "httpx.Response") -> int | None:
    number = answer.headers.get("x-revision", "")
    return int(number) if number.isdecimal() else None


def _from_header(text: str | None) -> list[Document]:
    notes = orjson.loads(text) if text else []
    return notes if isinstance(notes, list) else []

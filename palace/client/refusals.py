"""What a server says no with, in words for people: what is wrong, where, and how to put it right."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import httpx

Document = dict[str, Any]


class RemoteError(Exception):
    """The server said no, or nothing; `str()` is for people.

    `status`, `details` and `corrected_patch` are as the server sent them. The latter holds what was sent, with its
    secrets, so it is not part of the text.
    """

    def __init__(self, text: str, status: int = 0, answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.answer = answer or {}

    @property
    def details(self) -> list[Document]:
        """One entry for each problem."""
        return [detail for detail in self.answer.get("details", []) if isinstance(detail, dict)]

    @property
    def corrected_patch(self) -> list[Any]:
        """A patch that the server would accept instead; empty when it has none."""
        return self.answer.get("corrected_patch") or []

    def told(self, text: str) -> "RemoteError":
        """The same failure in other words."""
        return RemoteError(text, self.status, self.answer)


def body_of(answer: "httpx.Response") -> Document:
    """The JSON object of an answer. Raises RemoteError where there is none."""
    try:
        body = orjson.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RemoteError(f"{answer.url.host} does not answer like a Palace ({answer.status_code}, no JSON object).")
    return body


def refusal(url: str, answer: "httpx.Response") -> RemoteError:
    """What an answer says no with."""
    try:
        return refused(url, answer.status_code, body_of(answer))
    except RemoteError as error:
        hint = f" It leads to {answer.headers['location']}." if "location" in answer.headers else ""
        return RemoteError(f"{error}{hint}", answer.status_code)


def refused(url: str, status: int, body: Document) -> RemoteError:
    """What a body says no with that was sent with this status."""
    refusal = RemoteError("", status, body)
    return refusal.told(_explained(url, status, body, refusal.details))


def _explained(url: str, status: int, body: Document, details: list[Document]) -> str:
    message = str(body.get("message") or body.get("error") or f"The server answered {status}.")
    codes = {detail.get("code") for detail in details}
    if status == 401:
        return f"{url} does not know this API key: set TAVUS_API_KEY to one of its keys."
    if status == 412:
        return "\n".join(["It has changed since it was read:", *_changed_since(details)])
    if body.get("conflict") == "maker_changes":
        return _maker_changes(body)
    if message == "Invalid conversation_id":
        return f"{message}: there is no such conversation, or it is not yours."
    if "invalid_id" in codes:
        return f"{message}: there is no such PAL, or it is not yours. `palace pal list` shows those there are."
    if "stock_object" in codes:
        return "This is a stock PAL: it can be read, but not changed."
    message = message.removeprefix("Bad Request. ")
    headline = "The result would not be valid:" if message.startswith("{") else message
    lines = [headline, *(line for detail in details if (line := _detail_line(detail, headline)))]
    return "\n".join(lines)


def _changed_since(details: list[Document]) -> list[str]:
    lines = []
    for detail in details:
        by = f" (revision {detail['revision']})" if detail.get("revision") else ""
        lines.append(f"  {detail.get('pointer') or detail.get('problem') or 'the PAL'}{by}")
    return lines


def _maker_changes(body: Document) -> str:
    draft = body.get("draft") or {}
    who = f" by {draft['changed_by']}" if draft.get("changed_by") else ""
    lines = [
        f"This PAL has a draft in PAL Maker that changes {_listed(draft.get('pointers'))}{who}. Nothing was changed."
    ]
    if draft.get("overlapping"):
        lines.append(f"Both change {_listed(draft['overlapping'])}. --force discards the draft.")
    else:
        lines.append("--rebase keeps the draft and carries it over; --force discards it.")
    return "\n".join(lines)


def _listed(pointers: Sequence[str] | None) -> str:
    return ", ".join(pointers or []) or "some members"


def _detail_line(detail: Document, headline: str) -> str:
    problem = str(detail.get("problem", ""))
    nearest = detail.get("nearest") or []
    guess = f" Did you mean {' or '.join(nearest[:3])}?" if nearest else ""
    if problem.rstrip(".") in headline and not guess:
        return ""
    place = detail.get("pointer") or (f"operation {detail['operation']}" if "operation" in detail else "")
    return f"  {place}: {problem}{guess}" if place else f"  {problem}{guess}"

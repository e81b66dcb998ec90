"""Clients that read and write over HTTP, and take down what they saw."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from tests.acceptance.register.choosing import Choice, Chooser, Garden
from tests.acceptance.register.history import Attempt, State, Write
from tests.acceptance.register.wire import Answer, Connection, NoAnswer, NotSent, seconds
from tests.serving import KEY, STOCK_FACE

NOTHING_DONE = {"store_unavailable", "too_busy"}
"""Codes of failures of the server that say so."""
NO_JSON = 599
"""Instead of the status of an answer that is no answer of this API."""
MOST_REPEATS = 30
THINKING_SECONDS = 0.004

CONNECTIONS = count(1)


def document_state(document: dict[str, Any], *, is_deleted: bool = False) -> State:
    """What a document says in the words of the register."""
    tags = tuple(document["document_tags"])
    return State(document["greeting"] or None, document["context"] or None, tags, is_deleted)


def operations(write: Write) -> list[dict[str, Any]]:
    """The JSON Patch of a write."""
    greet = {"op": "replace", "path": "/greeting", "value": write.token}
    append = {"op": "add", "path": "/document_tags/-", "value": write.token}
    context = {"op": "replace", "path": "/context", "value": write.token}
    return {"put": [greet], "append": [append], "both": [append, greet, context]}[write.kind]


def request_of(pal: str | None, write: Write | None) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path, headers and body."""
    headers = {"x-api-key": KEY, "content-type": "application/json"}
    if write is None:
        return "GET", f"/v2/pals/{pal}", headers, b""
    headers |= {"x-comment": write.token}
    headers |= {"if-match": write.if_match} if write.if_match else {}
    headers |= {"idempotency-key": write.key} if write.key else {}
    match write.kind:
        case "create":
            new = {"pal_name": write.token, "system_prompt": "Count.", "default_face_id": STOCK_FACE}
            return "POST", "/v2/pals", headers, json.dumps({**new, "greeting": write.token}).encode()
        case "rollback":
            body = {"to": write.to, "comment": write.token}
            return "POST", f"/v2/pals/{pal}/rollback", headers, json.dumps(body).encode()
        case "restore":
            return "POST", f"/v2/pals/{pal}/restore", headers, json.dumps({"comment": write.token}).encode()
        case "delete":
            return "DELETE", f"/v2/pals/{pal}", headers, b""
        case _:
            return "PATCH", f"/v2/pals/{pal}", headers, json.dumps(operations(write)).encode()


def said(answer: Answer) -> dict[str, Any]:
    """What an answer says, as members of an attempt."""
    status, revision = answer.status, answer.headers.get("x-revision")
    facts: dict[str, Any] = {
        "status": status,
        "revision": int(revision) if revision else None,
        "etag": answer.headers.get("etag"),
        "is_replay": "idempotency-replayed" in answer.headers,
    }
    if status in (200, 204):
        document = json.loads(answer.body) if status == 200 else {}
        facts |= {"outcome": "done", "pal": document["pal_id"]} if "pal_id" in document else {"outcome": "done"}
        return facts | {"state": document_state(document) if "document_tags" in document else None}
    if status == 304:
        return facts | {"outcome": "unchanged"}
    try:
        refusal = json.loads(answer.body)
    except ValueError:
        return facts | {"outcome": "unknown", "status": NO_JSON, "text": f"{status} {answer.body[:60]!r}"}
    codes = {detail["code"] for detail in refusal["details"]}
    is_known = status < 500 or codes <= NOTHING_DONE
    return facts | {
        "outcome": "refused" if is_known else "unknown",
        "is_gone": "invalid_id" in codes,
        "text": refusal["message"],
    }


class Client:
    """One client, with a connection to one node at a time."""

    def __init__(self, number: int, seed: str, garden: Garden, ports: Sequence[int], attempts: list[Attempt]) -> None:
        self.number = number
        self._mind = Chooser(seed, garden)
        self._ports = ports
        self._attempts = attempts
        self._node = 0
        self._connection: Connection | None = None

    async def live(self, until: asyncio.Event) -> None:
        """Read and write until it is told to stop, and finish what it insists on."""
        while not until.is_set():
            await self._carry_out(self._mind.next())
            await asyncio.sleep(self._mind.random.expovariate(1 / THINKING_SECONDS))
        self._hang_up()

    async def read(self, pal: str) -> Attempt:
        """What the PAL says."""
        return await self._attempt(pal, None)

    async def _carry_out(self, choice: Choice) -> None:
        if choice.is_sent_twice:
            await asyncio.gather(self._attempt(choice.pal, choice.write), self._elsewhere(choice.pal, choice.write))
        attempt = await self._attempt(choice.pal, choice.write)
        for _ in range(MOST_REPEATS if choice.is_insisting else 0):
            if attempt.is_final:
                break
            await asyncio.sleep(0.05 + self._mind.random.random() / 5)
            attempt = await self._attempt(choice.pal, choice.write)
        if choice.is_repeated_later:
            await self._elsewhere(choice.pal, choice.write)

    async def _attempt(self, pal: str | None, write: Write | None) -> Attempt:
        """One request on the connection there is; now and then on a new one to another node."""
        if self._mind.random.random() < 0.02:
            self._hang_up()
        began = seconds()
        try:
            if self._connection is None or not self._connection.is_open:
                self._node = self._mind.random.randrange(len(self._ports))
                self._connection = await Connection.to(self._ports[self._node], next(CONNECTIONS))
        except NotSent as error:
            return self._noted(began, self._node, 0, pal, write, {"outcome": "refused", "text": f"Not sent: {error}"})
        return await self._sent(self._connection, self._node, pal, write)

    async def _elsewhere(self, pal: str | None, write: Write | None) -> None:
        """The same request on a connection of its own, to any node."""
        node = self._mind.random.randrange(len(self._ports))
        with suppress(NotSent):
            connection = await Connection.to(self._ports[node], next(CONNECTIONS))
            await self._sent(connection, node, pal, write)
            connection.close()

    async def _sent(self, connection: Connection, node: int, pal: str | None, write: Write | None) -> Attempt:
        began = seconds()
        try:
            facts = said(await connection.request(*request_of(pal, write)))
        except NoAnswer as error:
            facts = {"outcome": "unknown", "text": f"No answer: {error}"}
        return self._noted(began, node, connection.number, pal, write, facts)

    def _noted(
        self, began: float, node: int, connection: int, pal: str | None, write: Write | None, facts: dict[str, Any]
    ) -> Attempt:
        told = {"pal": pal, **facts}
        attempt = Attempt(self.number, connection, node, began, seconds(), write=write, **told)
        self._attempts.append(attempt)
        self._mind.learn(attempt)
        return attempt

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

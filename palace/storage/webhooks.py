"""Callbacks on their way: each is written in the transaction of what it tells, and stays until it is forgotten."""

from dataclasses import asdict, dataclass
from typing import Literal

from palace.audit import Deed
from palace.changes import CALLBACK
from palace.storage.statements import Statements

DeliveryState = Literal["waiting", "delivered", "parked"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A callback that is to be sent now. `attempts` counts all before, `tries` those since it was `asked_at`."""

    seq: int
    id: str
    account: int
    lane: str
    url: str
    body: bytes
    attempts: int
    tries: int
    asked_at: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback as its owner sees it: `kind` and `about` name the object that it tells of, while there is one."""

    seq: int
    id: str
    kind: str | None
    about: str | None
    lane: str
    url: str
    event_type: str
    state: DeliveryState
    attempts: int
    created_at: str
    due_at: str
    last_status: int | None
    last_problem: str | None
    delivered_at: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a callback was sent: how long that took, and what came of it. `answer` is cut."""

    attempt: int
    at: str
    ms: int
    status: int | None
    problem: str | None
    answer: bytes


class Webhooks:
    """Part of a transaction: callbacks. `unlogged` is where those hear of one who send it after the commit."""

    def __init__(self, run: Statements, unlogged: list[Deed]) -> None:
        self._run = run
        self._unlogged = unlogged

    async def add(
        self,
        id: str,
        *,
        account: int,
        document: int | None,
        lane: str,
        url: str,
        event_type: str,
        body: bytes,
        now: str,
    ) -> None:
        """A callback that is due when those before it in its lane are settled. `body` is sent as it is.

        It goes with its document for good. Who writes to a lane must be alone with it, as by holding that document.
        """
        place = {"account": account, "document": document, "lane": lane, "url": url}
        await self._run.change("insert_delivery", id=id, **place, event_type=event_type, now=now, body=body)
        self._unlogged.append(Deed(now, account, None, "add", CALLBACK, id))

    # --- Sending ------------------------------------------------------------------------------------------------------

    async def due(self, now: str, most: int, share: int) -> list[Outgoing]:
        """At most `most` callbacks to be sent now: of each lane the oldest that waits, unless it is being sent.

        With those that are being sent, no account has more than `share`.
        """
        return [Outgoing(*row) for row in await self._run.rows("due_deliveries", now=now, most=most, share=share)]

    async def start(self, delivery: Outgoing, now: str, until: str) -> bool:
        """Send it, until some time at most; False when somebody else does by now."""
        values = {"seq": delivery.seq, "id": delivery.id, "attempts": delivery.attempts}
        return bool(await self._run.change("start_delivery", **values, now=now, until=until))

    async def tries(self, delivery: Outgoing) -> tuple[int, str] | None:
        """How often it was tried, this attempt included, since when it was asked for; None when that counts no more.

        That is 0 when it was asked for again while this attempt was under way. It stays so until the commit.
        """
        values = {"seq": delivery.seq, "id": delivery.id, "attempts": delivery.attempts + 1}
        row = await self._run.row("tries_of_delivery", **values)
        return (row[0], row[1]) if row else None

    async def settle(
        self, delivery: Outgoing, attempt: Attempt, state: DeliveryState, due_at: str, delivered_at: str | None
    ) -> bool:
        """What became of an attempt; False when it counts no more: the callback is gone, or somebody else sends it.

        Those behind it in its lane wait until `due_at` when it does, and else no longer than that.
        """
        told = {"last_status": attempt.status, "last_problem": attempt.problem, "delivered_at": delivered_at}
        values = {"seq": delivery.seq, "id": delivery.id, "attempts": attempt.attempt, "state": state, "due_at": due_at}
        if not await self._run.change("settle_delivery", **values, **told):
            return False
        await self._run.change("insert_delivery_attempt", delivery=delivery.seq, **asdict(attempt))
        await self._run.change("hold_lane" if state == "waiting" else "pass_lane", lane=delivery.lane, due_at=due_at)
        return True

    async def let_go(self, delivery: Outgoing) -> None:
        """Somebody else may send it at once: this attempt, which was the next after those it knows, was broken off."""
        place = {"seq": delivery.seq, "id": delivery.id}
        await self._run.change("let_go_delivery", **place, attempts=delivery.attempts + 1)

    async def free(self) -> int:
        """Nobody sends anything any more: tell how many were being sent."""
        return await self._run.change("free_deliveries")

    async def waiting(self) -> int:
        """How many callbacks are still to be delivered."""
        return int((await self._run.row("count_waiting_deliveries"))[0])

    # --- Looking ------------------------------------------------------------------------------------------------------

    async def get(self, id: str, account: int) -> Delivery | None:
        """One callback of an account."""
        row = await self._run.row("get_delivery", id=id, account=account)
        return Delivery(*row) if row else None

    async def page(
        self, account: int, *, state: str, conversation: str, limit: int, offset: int
    ) -> tuple[list[Delivery], int]:
        """The newest callbacks of an account, without their bodies, and how many there are; "" stands for any."""
        values = {"account": account, "state": state, "conversation": conversation}
        rows = await self._run.rows("page_of_deliveries", **values, limit=limit, offset=offset)
        [total] = await self._run.row("count_deliveries", **values)
        return [Delivery(*row) for row in rows], total

    async def attempts(self, delivery: int, most: int) -> list[Attempt]:
        """The newest attempts at a callback, newest first."""
        return [Attempt(*row) for row in await self._run.rows("attempts_of_delivery", delivery=delivery, most=most)]

    async def ask_again(self, delivery: Delivery, now: str, account: int) -> None:
        """Send it once more, whatever became of it. One that waits keeps its place; any other is in nobody's way."""
        await self._run.change("ask_again_for_delivery", seq=delivery.seq, now=now)
        if delivery.state == "waiting":  # Else nobody stands behind it any more.
            await self._run.change("pass_lane", lane=delivery.lane, due_at=now)
        self._unlogged.append(Deed(now, account, None, "ask_again", CALLBACK, delivery.id))

    async def forget(self, before: str, most: int) -> int:
        """Take away at most `most` callbacks from before a time that are delivered or parked: how many there were."""
        return await self._run.change("delete_old_deliveries", before=before, most=most)

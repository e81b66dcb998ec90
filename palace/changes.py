"""What changed, for those who listen while the server runs.

Nothing of it is stored, and a slow listener keeps nobody waiting: who cannot follow is told that something was lost,
and reads again what it shows. Telling costs 0.1 µs for each change while nobody listens.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Literal, NamedTuple

from palace.audit import Deed

MOST_REMEMBERED = 1000
"""So many changes ago a listener may have been cut off, and nothing is lost."""
MOST_WAITING = 1000
"""for one listener"""
CALLBACK = "callback"
"""What deeds are about that tell of a callback: nobody is told of those but who sends it."""
FOR_GOOD = ("erase", "purge")
"""What is done to an object of which nothing is to be left."""


class Event(NamedTuple):
    """What a listener is told. `cursor` says how far it is then; only `changed` has a deed."""

    name: Literal["ready", "changed", "resync"]
    cursor: str
    deed: Deed | None = None


class Listener:
    """What waits for one listener: the changes of objects of its account."""

    def __init__(self, account: int, first: Sequence[Event]) -> None:
        self.account = account
        self._waiting: deque[Event] = deque(first)
        self._woken = asyncio.Event()

    def offer(self, event: Event) -> None:
        """One more event; where too many wait, one that says so takes their place."""
        if len(self._waiting) >= MOST_WAITING or event.name == "resync":
            self._waiting.clear()
            event = Event("resync", event.cursor)
        self._waiting.append(event)
        self._woken.set()

    def wake(self) -> None:
        """Have it look around, whether anything waits or not."""
        self._woken.set()

    async def next(self, seconds: float) -> list[Event]:
        """What waits, or comes in this time; [] when nothing came, or the listener was woken for another reason."""
        if not self._waiting:
            self._woken.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return []
        events = list(self._waiting)
        self._waiting.clear()
        return events


class Feed:
    """Tells all listeners what the store tells it after each commit; `name` tells it from that of other processes."""

    def __init__(self, name: str = "") -> None:
        self.is_over = False
        self.hears_all = True
        """whether what other servers change is told, too"""
        self.callbacks = asyncio.Event()
        """set when there may be a callback to send"""
        self.erased = asyncio.Event()
        """set when something was taken away for good"""
        self._name = name
        self._count = 0
        self._recent: deque[Deed] = deque(maxlen=MOST_REMEMBERED)
        self._listeners: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def tell(self, deeds: Sequence[Deed]) -> None:
        """Something was committed. Deeds without a revision are no changes of objects."""
        if any(deed.kind == CALLBACK for deed in deeds):
            self.callbacks.set()
        if any(deed.action in FOR_GOOD for deed in deeds):
            self.erased.set()
        changes = [deed for deed in deeds if deed.revision is not None]
        self._recent.extend(changes)
        if self._listeners:
            for number, deed in enumerate(changes, self._count + 1):
                self._tell_owner(Event("changed", self._cursor(number), deed), deed.account)
        self._count += len(changes)

    def _tell_owner(self, event: Event, account: int) -> None:
        for listener in self._listeners:
            if listener.account == account:
                listener.offer(event)

    def lose(self) -> None:
        """Something may have changed of which nothing was heard: everybody should look."""
        self._recent.clear()
        self._count += 1
        self.callbacks.set()
        for listener in self._listeners:
            listener.offer(Event("resync", self._cursor(self._count)))

    def wake(self) -> None:
        """Have all listeners look around: a key may have been revoked."""
        for listener in self._listeners:
            listener.wake()

    def end(self) -> None:
        """Nothing more is told."""
        self.is_over = True
        self.wake()

    @contextmanager
    def listening(self, account: int, cursor: str = "") -> Iterator[Listener]:
        """A listener to the changes of an account: from now on, or from the event with this cursor on."""
        listener = Listener(account, self._since(cursor, account))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _since(self, cursor: str, account: int) -> list[Event]:
        """What is told first."""
        now = self._cursor(self._count)
        if not cursor:
            return [Event("ready", now)]
        name, _, number = cursor.rpartition("-")
        oldest = self._count - len(self._recent)
        if name != self._name or not number.isdecimal() or not oldest <= int(number) <= self._count:
            return [Event("resync", now)]
        numbered = enumerate(islice(self._recent, int(number) - oldest, None), int(number) + 1)
        missed = [Event("changed", self._cursor(n), deed) for n, deed in numbered if deed.account == account]
        return [*missed, Event("ready", now)]

    def _cursor(self, number: int) -> str:
        return f"{self._name}-{number}"

"""What a check finds, and what it is handed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from palace.resource import Services
from palace.settings import Settings
from palace.transfer import Side

State = Literal["ok", "note", "problem"]
"""A note is no problem, but the operator should know it and may want it otherwise."""


class Finding(NamedTuple):
    """One line about one thing. `remedy` tells what to do."""

    name: str
    state: State
    said: str
    remedy: str = ""


@dataclass(slots=True)
class Patient:
    """What is looked at. What cannot be opened is None; the checks that need it are left out then."""

    settings: Settings
    url: str = ""
    key: str = ""
    side: Side | None = None
    services: Services | None = None

    @property
    def database(self) -> Side:
        """For checks that are made only when there is a database."""
        assert self.side is not None
        return self.side

    @property
    def opened(self) -> Services:
        """For checks that are made only when the database could be opened as a server does."""
        assert self.services is not None
        return self.services


Check = Callable[[Patient], Awaitable[Sequence[Finding]]]


def ok(name: str, said: str) -> list[Finding]:
    """It is as it should be."""
    return [Finding(name, "ok", said)]


def note(name: str, said: str, remedy: str) -> list[Finding]:
    """It may be meant."""
    return [Finding(name, "note", said, remedy)]


def problem(name: str, said: str, remedy: str) -> list[Finding]:
    """It is wrong."""
    return [Finding(name, "problem", said, remedy)]

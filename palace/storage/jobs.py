"""Jobs and files, which belong to documents and go with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from palace.storage.statements import Statements

JobState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """Work for a document, which is the object `id` of `object_kind`; `input` is JSON.

    `attempts` counts how often it was begun before.
    """

    job: int
    kind: str
    attempts: int
    input: bytes
    document: int
    object_kind: str
    id: str
    owner: int


class Jobs:
    """Part of a transaction: work that outlives a request."""

    def __init__(self, run: Statements) -> None:
        self._run = run

    async def add(self, job: int, kind: str, document: int, due_at: str, input: bytes) -> None:
        """Work for a document, to be begun from a time on. `job` is a number that no job has had."""
        await self._run.change("insert_job", job=job, kind=kind, document=document, due_at=due_at, input=input)

    async def due(self, now: str, most: int, share: int, kinds: Sequence[str], *, are_these: bool) -> list[Job]:
        """At most `most` jobs whose time has come, whose documents are not deleted, and at which nobody works.

        They are of one of these kinds, or else of none of them. With those that are worked at, no account has more than
        `share`.
        """
        values = {"kinds": orjson.dumps(kinds).decode(), "are_these": are_these}
        return [Job(*row) for row in await self._run.rows("due_jobs", now=now, most=most, share=share, **values)]

    async def waiting(self) -> int:
        """How many jobs wait, for their time or for somebody to begin."""
        return int((await self._run.row("count_waiting_jobs"))[0])

    async def start(self, job: int, attempts: int, until: str) -> bool:
        """Work at it until some time, or longer with `extend`; False when it was begun since those `attempts`."""
        return bool(await self._run.change("start_job", job=job, attempts=attempts, until=until))

    async def extend(self, job: int, attempts: int, until: str) -> None:
        """Work at it for longer: `attempts` tells which attempt this is, the first being 1."""
        await self._run.change("extend_job", job=job, attempts=attempts, until=until)

    async def is_held(self, job: int, attempts: int) -> bool:
        """Whether this attempt still has the job: it has not gone with its document, and nobody else began it."""
        return await self._run.row("held_job", job=job, attempts=attempts) is not None

    async def put(self, job: int, state: JobState, attempts: int, due_at: str) -> None:
        """What became of an attempt; nothing happens when the job went with its document."""
        await self._run.change("put_job", job=job, state=state, attempts=attempts, due_at=due_at)

    async def recover(self, now: str) -> int:
        """Let jobs wait again at which somebody worked until before `now`, and tell how many there were."""
        return await self._run.change("recover_jobs", now=now)


class Files:
    """Part of a transaction: what everybody may read who knows its name."""

    def __init__(self, run: Statements) -> None:
        self._run = run

    async def add(self, name: str, document: int, created_at: str, media_type: str, body: bytes) -> None:
        """A file that goes with its document."""
        values = {"name": name, "document": document, "created_at": created_at}
        await self._run.change("insert_file", **values, media_type=media_type, body=body)

    async def get(self, name: str) -> tuple[str, bytes] | None:
        """Media type and content of a file, unless its document is deleted."""
        row = await self._run.row("get_file", name=name)
        return tuple(row) if row else None

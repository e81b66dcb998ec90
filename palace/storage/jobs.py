"""Jobs and files, which belong to documents and go with them: over one connection to SQLite."""

from dataclasses import dataclass
from typing import Any, Literal

import apsw

from palace.storage.queries import load_queries

QUERIES = load_queries("sqlite.sql")

JobState = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """Work for a document, which is the object `id` of `object_kind`; `input` is JSON.

    `attempts` counts how often it was begun, this time included.
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

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def add(self, job: int, kind: str, document: int, due_at: str, input: bytes) -> None:
        """Work for a document, to be begun from a time on. `job` is a number that no job has had."""
        values: dict[str, Any] = {"job": job, "kind": kind, "document": document, "due_at": due_at, "input": input}
        self._connection.execute(QUERIES["insert_job"], values)

    async def due(self, now: str, most: int, share: int) -> list[Job]:
        """At most `most` jobs whose time has come, whose documents are not deleted, and at which nobody works.

        With those that are worked at, no account has more than `share`.
        """
        found = self._connection.execute(QUERIES["due_jobs"], {"now": now, "most": most, "share": share})
        return [Job(*row) for row in found]

    async def waiting(self) -> int:
        """How many jobs wait, for their time or for somebody to begin."""
        row = self._connection.execute(QUERIES["count_waiting_jobs"]).fetchone()
        return 0 if row is None else int(row[0])

    async def is_there(self, job: int) -> bool:
        """Whether the job has not gone with its document."""
        return self._connection.execute(QUERIES["job_exists"], {"job": job}).fetchone() is not None

    async def start(self, job: int) -> None:
        """Somebody works at it from now on."""
        self._connection.execute(QUERIES["start_job"], {"job": job})

    async def put(self, job: int, state: JobState, attempts: int, due_at: str) -> None:
        """What became of an attempt; nothing happens when the job went with its document."""
        values: dict[str, Any] = {"job": job, "state": state, "attempts": attempts, "due_at": due_at}
        self._connection.execute(QUERIES["put_job"], values)

    async def recover(self) -> int:
        """Let jobs wait again at which a process worked that is gone, and tell how many there were."""
        self._connection.execute(QUERIES["recover_jobs"])
        return self._connection.changes()


class Files:
    """Part of a transaction: what everybody may read who knows its name."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def add(self, name: str, document: int, created_at: str, media_type: str, body: bytes) -> None:
        """A file that goes with its document."""
        values: dict[str, Any] = {"name": name, "document": document, "created_at": created_at}
        self._connection.execute(QUERIES["insert_file"], {**values, "media_type": media_type, "body": body})

    async def get(self, name: str) -> tuple[str, bytes] | None:
        """Media type and content of a file, unless its document is deleted."""
        row: tuple[str, bytes] | None = self._connection.execute(QUERIES["get_file"], {"name": name}).fetchone()
        return row

"""What becomes of a face that was asked for: its picture is fetched, checked and kept small. Rendering comes later."""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

from palace import pictures
from palace.clock import timestamp
from palace.fetching import Bounds, FetchFailed, fetch
from palace.jobs.runner import JobFailed, Store, Work
from palace.resource import Services
from palace.resources.faces import FACE
from palace.storage import Job, Transaction
from palace.verbs import put_facts
from palace.webhooks import Callback, call_back, face_trained

UNKNOWN_TYPES = ("application/octet-stream", "binary/octet-stream")
"""What stores of files send for anything; the file itself tells what it is."""
BOUNDS: Mapping[str, Bounds] = {
    "image": Bounds(20 << 20, 60, ("image/jpeg", "image/png", "image/webp", *UNKNOWN_TYPES)),
    "video": Bounds(750 << 20, 900, ("video/mp4", "video/quicktime", "video/webm", *UNKNOWN_TYPES)),
}
LOOKING_SECONDS = 60
FILE_NAME_HEX_DIGITS = 32
FETCHED = {"training_progress": "50/100"}
TRAINED = "face.trained"
"""The type of the callback, for its owner to find it by: its body has none."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.jobs")


async def train(job: Job, services: Services) -> Store:
    """The picture of a face, fetched and made small. Raises JobFailed."""
    wanted = orjson.loads(job.input)
    kind = "image" if wanted.get("train_image_url") else "video"
    with tempfile.TemporaryFile(dir=_folder(services)) as file:
        try:
            await fetch(wanted[f"train_{kind}_url"], BOUNDS[kind], file, services.fetcher)
        except FetchFailed as error:
            raise JobFailed(error.text, is_temporary=error.is_temporary) from error
        await services.store.transact(lambda tx: _tell(job, tx, FETCHED, services))
        thumbnail = await _looked_at(kind, file)
    name = services.ids.new("", FILE_NAME_HEX_DIGITS) + ".jpg"
    facts = {
        "status": "completed",
        "training_progress": "100/100",
        "thumbnail_image_url": f"{services.url}/v2/media/{name}",
    }

    async def store(tx: Transaction) -> bool:
        if not await _tell(job, tx, facts, services):
            return False
        await tx.files.add(name, job.document, timestamp(services.clock.now()), "image/jpeg", thumbnail)
        await _call_back(job, tx, None, services)
        return True

    return store


def _folder(services: Services) -> Path | None:
    """Where a file without a name may lie while it is looked at; the system's choice where nothing is kept on disk."""
    return None if services.settings.ephemeral else services.settings.data


def give_up(job: Job, problem: str, services: Services) -> Store:
    """The face tells that it came to nothing, and why."""

    async def store(tx: Transaction) -> bool:
        if not await _tell(job, tx, {"status": "error", "error_message": problem}, services):
            return False
        await _call_back(job, tx, problem, services)
        return True

    return store


async def _call_back(job: Job, tx: Transaction, problem: str | None, services: Services) -> None:
    """Tell the end of the training to the address that was named for it, if one was."""
    url = orjson.loads(job.input).get("callback_url")
    if url:
        said = face_trained(job.id, problem)
        await call_back(Callback(job.owner, job.document, job.id, url, TRAINED, said), tx, services)


async def _tell(job: Job, tx: Transaction, facts: Mapping[str, Any], services: Services) -> bool:
    """Write facts about the face, as a revision of its own; False when it is deleted, or the job with it."""
    record = await tx.get(job.object_kind, job.id, job.owner)
    if record is None or not await tx.jobs.is_held(job.job, job.attempts + 1):
        return False
    await put_facts(FACE, tx, record, facts, "job", services)
    return True


async def _looked_at(kind: str, file: BinaryIO) -> bytes:
    """What `palace.pictures` makes of a file, in a process of its own that knows no secret. Raises JobFailed."""
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(pictures.__file__)),
        kind,
        stdin=file,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    try:
        async with asyncio.timeout(LOOKING_SECONDS):
            said, complaints = await process.communicate()
    except TimeoutError as error:
        raise JobFailed(f"Reading this {kind} took longer than {LOOKING_SECONDS} seconds.") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):  # It has ended, and nobody was told yet.
                process.kill()
            await process.wait()
    if process.returncode == pictures.REFUSED:
        raise JobFailed(said.decode())
    if process.returncode != 0:
        log.warning(
            "could not read a file", kind=kind, code=process.returncode, end=complaints.decode(errors="replace")[-500:]
        )
        raise JobFailed(f"This {kind} cannot be read: it is damaged, or needs more memory or time than is given to it.")
    return said


TRAIN_FACE = Work(train, give_up)

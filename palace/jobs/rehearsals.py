"""A rehearsal is played: a suite's visitors, or the one of a conversation, talk to a PAL that is pinned in the job."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from palace.conversation.script import script_of
from palace.engines import LanguageModel
from palace.engines.models import open_model
from palace.jobs.runner import JobFailed, Store, Work
from palace.masks import unmasked
from palace.rehearsal import Cast, fixtures_of, read_suite, rehearse, replayed, report_of, turns_of
from palace.resource import Services, value_at
from palace.resources.pals.rehearsing import LLM
from palace.resources.rehearsals import REHEARSAL
from palace.storage import Job, StorageFailure, Transaction
from palace.verbs import put_facts

MOST_SECONDS = 3600
ROOM_BESIDE = 10_000
"""bytes of a rehearsal besides its report"""
TOLD_TIMES = 10
"""So often at most it is written down how far a rehearsal has come."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.jobs")


async def play(job: Job, services: Services) -> Store:
    """The report of a rehearsal. Raises JobFailed."""
    wanted = orjson.loads(job.input)
    model, judge = await _models(wanted, services)
    cast = Cast(script_of(orjson.dumps(wanted["script"])), model, judge)
    try:
        async with asyncio.timeout(MOST_SECONDS):
            report = await _report(job, wanted, cast, services)
    except TimeoutError as error:
        raise JobFailed(f"The rehearsal took longer than {MOST_SECONDS} seconds.") from error
    finally:
        await model.close()
        if judge is not model:
            await judge.close()
    size, most = len(orjson.dumps(report)), services.settings.max_document_bytes - ROOM_BESIDE
    if size > most:
        raise JobFailed(f"The report would have {size} bytes, more than this server keeps (max_document_bytes).")
    done = len(report["talks"]) if "talks" in report else 1
    facts = {
        "status": "completed",
        "progress": f"{done}/{done}",
        "pass_rate": report.get("pass_rate"),
        "report": report,
    }
    return lambda tx: _tell(job, tx, facts, services)


async def _report(job: Job, wanted: Mapping[str, Any], cast: Cast, services: Services) -> dict[str, Any]:
    suite = read_suite(wanted["suite"]) if wanted["suite"] is not None else None
    if wanted["held"] is not None:
        fixtures = [*(suite.tools if suite else ()), *fixtures_of(wanted["held"]["calls"])]
        return await replayed(cast, turns_of(wanted["held"]["lines"]), fixtures)
    assert suite is not None
    progress = _Progress(job, services)
    try:
        played = await rehearse(cast, suite, wanted["runs"], progress.tell)
    finally:
        await progress.finish()
    return report_of(suite, cast.script, played)


async def _models(wanted: Mapping[str, Any], services: Services) -> tuple[LanguageModel, LanguageModel]:
    """The PAL's own model, and the one that judges: that of the setting, else the same."""
    document = {"layers": {"llm": wanted["llm"] or {}}}
    reading, vault = services.store.reading, services.vault
    opened = await unmasked("pal", wanted["pal"], document, wanted["refs"], reading, vault)
    model = open_model(value_at(opened, LLM), services.models)
    name = services.settings.judge_model
    return model, open_model({"model": name}, services.models) if name else model


class _Progress:
    """Writes down now and then how far it has come, beside what goes on."""

    def __init__(self, job: Job, services: Services) -> None:
        self._job = job
        self._services = services
        self._told = 0
        self._writing: asyncio.Task[None] | None = None

    def tell(self, over: int, total: int) -> None:
        """So many talks are over, of so many."""
        part = over * TOLD_TIMES // total
        if over < total and part > self._told and (self._writing is None or self._writing.done()):
            self._told = part
            self._writing = asyncio.create_task(self._write(f"{over}/{total}"))

    async def finish(self) -> None:
        """Nothing is written any more."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self, progress: str) -> None:
        job, services = self._job, self._services
        try:
            await services.store.transact(lambda tx: _tell(job, tx, {"progress": progress}, services))
        except StorageFailure as error:
            log.warning("could not store how far a rehearsal has come", id=job.id, problem=str(error))


def give_up(job: Job, problem: str, services: Services) -> Store:
    """The rehearsal tells that it came to nothing, and why."""
    return lambda tx: _tell(job, tx, {"status": "error", "error_message": problem}, services)


async def _tell(job: Job, tx: Transaction, facts: Mapping[str, Any], services: Services) -> bool:
    """Write facts about the rehearsal, as a revision of its own; False when it is gone, or the job with it."""
    record = await tx.get(job.object_kind, job.id, job.owner)
    if record is None or not await tx.jobs.is_held(job.job, job.attempts + 1):
        return False
    await put_facts(REHEARSAL, tx, record, facts, "job", services)
    return True


REHEARSE = Work(play, give_up, is_long=True)

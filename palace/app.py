"""The only file that knows every part: settings in, running server out. Nothing else reads the environment."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvicorn
import uvloop

from palace import __version__
from palace.accounts import FIRST_ACCOUNT, add_key, ensure_account, ensure_key, is_working
from palace.addresses import parse_networks
from palace.api.connections import SOCKETS, Connection, DroppableConnection
from palace.api.emulator import Emulator
from palace.api.server import build_application, counted_routes
from palace.audit import Deed
from palace.changes import Feed
from palace.clock import Clock, parse_moment, timestamp
from palace.config_files import MissingVariables, resolved
from palace.engines.base import Means
from palace.engines.local import installed_weights
from palace.engines.models import Models
from palace.engines.scripts import InvalidScript, read_script
from palace.engines.table import DEFAULT, InvalidTable, read_table
from palace.faults import Plan
from palace.fetching import Fetcher
from palace.folder import (
    FIRST_KEY,
    held,
    refuse_unfinished_restore,
)
from palace.forgetting import keep_forgetting, keep_wiping
from palace.ids import Ids
from palace.jobs import JOBS, keep_working
from palace.json_patch import Limits
from palace.logs import configure_logs
from palace.metrics import Meter
from palace.opening import open_sealed
from palace.rates import Rates, keep_sharing
from palace.resource import Services
from palace.resources import RESOURCES, resources_with
from palace.resources.stock import plant_sample, plant_stock
from palace.seeding import plant_seed, read_plan_file, read_seed
from palace.serving import Server, listen, shown_host
from palace.settings import InvalidSetting, Settings, load_settings
from palace.skills import load_skills
from palace.starting_over import start_of
from palace.storage import Store
from palace.talking import Deliver, ModelOf, Rooms, Seeing, Think, Waking
from palace.tracing import CannotTrace, Tracing, open_tracing
from palace.webhooks import keep_delivering
from palace.workers import Worker, supervise
from palace.yaml_text import read_file

T = TypeVar("T")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")

GARBAGE_THRESHOLD = 50_000
"""Allocations between collections: with a frozen start-up heap this is worth a fifth of the throughput."""

SECONDS_TO_CLOSE = 10
"""for what a worker does after its last answer"""

KEEP_ALIVE_SECONDS = 75
"""Longer than common clients keep an idle connection (httpx: 5), so that none is closed under a new request."""


def settings_from(flags: Mapping[str, Any]) -> Settings:
    """Settings from the flags of a command, else from the environment. Raises InvalidSetting."""
    return load_settings(os.environ, flags)


def environment() -> Mapping[str, str]:
    """The environment, for files that refer to it."""
    return os.environ


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a person needs to know when the server is up. `api_key` is empty when the server does not know one."""

    url: str
    api_key: str
    key_is_new: bool


async def open_services(settings: Settings, url: str = "", meter: Meter | None = None) -> Services:
    """The store and everything else that handlers work with.

    What is counted goes to `meter`, where there is one. The data folder is made where something will lie in it.

    Raises OSError, FolderInUse, VaultError, StorageFailure, NewerSchema and OlderSchema when the folder or what lies in
    it cannot be used, and InvalidSetting for a file of skills, models or a script.
    """
    if not settings.ephemeral and not settings.database:
        refuse_unfinished_restore(settings.data)
    ids = Ids(settings.id_seed)
    clock = Clock(parse_moment(settings.fixed_time) if settings.fixed_time else None)
    skills = load_skills(settings.skills_file)
    fetcher = Fetcher(parse_networks(settings.allow_private_addresses))
    models = _models(settings, Means(fetcher, clock, ids))
    meter = meter or Meter()
    store, vault, chain, meeting_key = await open_sealed(settings, meter, clock, ids)
    limits = Limits(
        operations=settings.max_patch_operations,
        pointer_characters=settings.max_pointer_characters,
        pointer_tokens=settings.max_pointer_tokens,
        depth=settings.max_depth,
        copy_bytes=settings.max_copy_bytes,
    )
    return Services(
        store=store,
        clock=clock,
        ids=ids,
        vault=vault,
        limits=limits,
        settings=settings,
        chain=chain,
        fetcher=fetcher,
        models=models,
        url=url,
        kinds={resource.kind: resource for resource in resources_with(models.table.names)},
        skills=skills,
        changes=Feed(Ids().new("", 12)),
        meter=meter,
        rates=_rates(settings, store),
        meeting_key=meeting_key,
    )


def _models(settings: Settings, means: Means) -> Models:
    """The language models. Raises InvalidSetting."""
    return Models(
        _read("models", settings.models, read_table),
        means,
        _read("scripted_model", settings.scripted_model, read_script),
        installed_weights(settings.local_weights),
        takes_scripts=settings.pal_scripts,
    )


def _read(name: str, path: str, read: Callable[[Any], T]) -> T | None:
    """What a file of the operator says; `${env:NAME}` stands for a variable. None without a file."""
    if not path:
        return None
    try:
        return read(resolved(read_file(Path(path)), environment()))
    except (ValueError, MissingVariables, InvalidTable, InvalidScript) as error:
        raise InvalidSetting(f"{name}: {path} cannot be used: {error}") from error


def _rates(settings: Settings, store: Store) -> Rates | None:
    if not settings.rate_limit:
        return None
    return Rates(settings.rate_limit, settings.rate_burst, is_shared=store.is_shared)


async def prepare(settings: Settings, services: Services) -> tuple[str, bool]:
    """Stock objects, the first account, its key, the seed. Returns a key that works, if one is known, and whether it
    is new. Raises InvalidSeed, RevokedKey.
    """
    await plant_stock(services)
    account, is_new = await ensure_account(FIRST_ACCOUNT, services)
    if is_new:
        await plant_sample(account, services)
    if settings.seed:
        path = Path(settings.seed)
        await plant_seed(path, read_seed(path, tuple(services.kinds.values()), environment()), account, services)
    if settings.api_key:
        await ensure_key(settings.api_key, account, services)
        return settings.api_key, False
    if settings.ephemeral:
        return await add_key(account, "made at the start", services), True
    path = settings.data / FIRST_KEY
    if await services.store.reading.list_keys():
        kept = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        return (kept if await is_working(kept, services) else ""), False
    key = await add_key(account, "made at the first start", services)
    _write_secret(path, key)
    return key, True


def _write_secret(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secret + "\n")


def serve(settings: Settings, greet: Callable[[Greeting], None]) -> None:
    """Run the server until SIGTERM or SIGINT; requests in flight are finished first. `greet` is called once it listens.

    Raises CannotListen when the address is in use; RevokedKey, InvalidSeed, InvalidFaults; OSError, FolderInUse,
    StorageFailure, NewerSchema and VaultError when the data folder cannot be used; InvalidSetting; WorkersFailed.
    """
    configure_logs(settings.log_level, settings.log_format)
    listening = listen(settings.host, settings.port)
    url = settings.public_url or f"http://{shown_host(settings.host)}:{listening.getsockname()[1]}"
    meter = Meter(counted_routes(RESOURCES), settings.workers)
    with nullcontext(False) if settings.ephemeral else held(settings.data) as has_finished_a_restore:
        if has_finished_a_restore:
            log.info("finished a restore that was broken off", folder=str(settings.data))
        if settings.workers == 1:
            _run(_serve(settings, url, meter, listening, greet))
        else:
            _serve_by_workers(settings, url, meter, listening, greet)


def _run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def _serve(
    settings: Settings, url: str, meter: Meter, listening: socket.socket, greet: Callable[[Greeting], None]
) -> None:
    services = await open_services(settings, url, meter)
    greeting = await _prepared(settings, services)
    await _answer(settings, services, listening, lambda: greet(greeting))


def _serve_by_workers(
    settings: Settings, url: str, meter: Meter, listening: socket.socket, greet: Callable[[Greeting], None]
) -> None:
    """Prepare everything once, and have several processes serve; this one looks after them."""

    async def prepared() -> Greeting:
        services = await open_services(settings, url)
        try:
            return await _prepared(settings, services)
        finally:
            await services.store.close()

    async def answer(worker: Worker) -> None:
        structlog.contextvars.bind_contextvars(worker=worker.number)
        services = await open_services(settings, url, meter.of(worker.number))
        await _answer(settings, services, listening, worker.tell_ready, worker)

    greeting = _run(prepared())
    gc.collect()
    gc.freeze()  # What is loaded stays one piece of memory for all.
    listening.listen()

    patience = settings.drain_seconds + settings.shutdown_seconds + SECONDS_TO_CLOSE
    supervise(settings.workers, lambda worker: _run(answer(worker)), lambda: greet(greeting), listening.close, patience)


async def _log_start(services: Services) -> None:
    """The audit log tells from when on the server worked, and whether it was told what the server did."""
    action = "start" if services.audit else "start_without_audit"
    deed = Deed(timestamp(services.clock.now()), 0, None, action, "server", __version__)
    await services.store.transact(lambda tx: tx.add_audit(deed, services.chain))


async def _emulator(settings: Settings, services: Services) -> Emulator:
    """What the server offers to those who test their clients with it, as it is after start-up."""
    start = await start_of(services) if settings.allow_reset else None
    faults = read_plan_file(Path(settings.faults)) if settings.faults else ()
    return Emulator(start, Plan(faults) if settings.fault_lab else None)


def _tracing(settings: Settings) -> Tracing | None:
    try:
        return open_tracing(settings.otlp_endpoint)
    except CannotTrace as error:
        raise InvalidSetting(str(error)) from error


async def _prepared(settings: Settings, services: Services) -> Greeting:
    """Everything that is made once for all who serve, and no two servers at once."""
    await _log_start(services)
    if services.vault.has_older_keys:
        log = structlog.get_logger("palace")
        log.warning("older master keys are in use: stop the server and run `palace keys rotate-master` to drop them")
    async with services.store.turn():
        greeting = Greeting(services.url, *await prepare(settings, services))
    if services.models.otherwise != DEFAULT:
        log = structlog.get_logger("palace")
        log.info("models that --models does not name are played by another", model=services.models.otherwise)
    return greeting


def _log_end(task: "asyncio.Task[None]") -> None:
    """What is done beside goes on until it is cancelled; when it broke, somebody should know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        structlog.get_logger("palace").error("work beside the requests ended", exc_info=error)


def _beside(services: Services, rooms: Rooms) -> Iterator[Coroutine[Any, Any, None]]:
    """What is done beside the requests for as long as the server runs; jobs and callbacks come first."""
    yield keep_working(JOBS, services)
    yield keep_delivering(services)
    yield keep_forgetting(services)
    yield keep_wiping(services)
    yield Waking(rooms, services).keep_talking()
    if services.rates is not None and services.store.is_shared:
        yield keep_sharing(services.rates, services.store.share_rates, lambda: services.clock.now().timestamp())


def _begin(works: Iterable[Coroutine[Any, Any, None]]) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(_log_end)
    return tasks


async def _answer(
    settings: Settings,
    services: Services,
    listening: socket.socket,
    on_start: Callable[[], None],
    worker: Worker | None = None,
) -> None:
    """Answer requests until a signal ends it, and do what is done beside."""
    log = structlog.get_logger("palace")
    tracing = _tracing(settings)
    services.meter.begin(os.getpid())
    await services.store.listen(services.changes)
    seeing = Seeing(services.meter, services.clock, tracing)
    rooms = Rooms(services, Think(ModelOf(services.models, services)), Deliver(services), seeing)
    services = replace(services, talks=rooms)
    emulator = await _emulator(settings, services)

    def started() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
        log.info("listening", url=services.url)
        on_start()

    resources = tuple(services.kinds.values())
    application = build_application(resources, services, settings, lambda: not server.is_draining, emulator, tracing)
    config = uvicorn.Config(
        application,
        http=Connection if emulator.faults is None else DroppableConnection,
        **SOCKETS,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    beside = _begin(_beside(services, rooms))

    def drain() -> None:
        log.info("draining", seconds=settings.drain_seconds)
        for task in beside[:2]:
            task.cancel()  # Jobs are begun anew elsewhere, or at the next start; so are callbacks.
        services.changes.end()
        rooms.stop()

    server = Server(config, started, drain, settings.drain_seconds, worker)
    try:
        await server.serve([listening])
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await services.models.close()
        await services.store.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
        log.info("stopped")

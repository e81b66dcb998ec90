"""The only file that knows every part: settings in, running server out. Nothing else reads the environment."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
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
from palace.audit import Chain, Deed
from palace.changes import Feed
from palace.clock import Clock, parse_moment, timestamp
from palace.faults import Plan
from palace.fetching import Fetcher
from palace.folder import (
    DATABASE,
    FIRST_KEY,
    MasterKeys,
    held,
    make_private_folder,
    master_keys,
    refuse_unfinished_restore,
)
from palace.forgetting import keep_forgetting
from palace.ids import Ids
from palace.jobs import JOBS, keep_working
from palace.json_patch import Limits
from palace.logs import configure_logs
from palace.metrics import Meter
from palace.rates import Rates, keep_sharing
from palace.resource import Services
from palace.resources import RESOURCES
from palace.resources.stock import plant_sample, plant_stock
from palace.sealed import open_chain, open_meeting_key
from palace.seeding import plant_seed, read_plan_file, read_seed
from palace.serving import Server, listen, shown_host
from palace.settings import InvalidSetting, Settings, load_settings
from palace.skills import load_skills
from palace.starting_over import start_of
from palace.storage import SqliteStore, Store
from palace.talking import Deliver, Models, Rooms, Think
from palace.tracing import CannotTrace, Tracing, open_tracing
from palace.vault import Vault, VaultError
from palace.workers import Worker, supervise

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
    it cannot be used, and InvalidSkillsFile.
    """
    if not settings.ephemeral and not settings.database:
        refuse_unfinished_restore(settings.data)
    ids = Ids(settings.id_seed)
    clock = Clock(parse_moment(settings.fixed_time) if settings.fixed_time else None)
    skills = load_skills(settings.skills_file)
    meter = meter or Meter()
    store, vault, chain, meeting_key = await _open_sealed(settings, meter, clock, ids)
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
        fetcher=Fetcher(parse_networks(settings.allow_private_addresses)),
        url=url,
        kinds={resource.kind: resource for resource in RESOURCES},
        skills=skills,
        changes=Feed(Ids().new("", 12)),
        meter=meter,
        rates=_rates(settings, store),
        meeting_key=meeting_key,
    )


async def _open_sealed(settings: Settings, meter: Meter, clock: Clock, ids: Ids) -> tuple[Store, Vault, Chain, bytes]:
    """The store, what opens the secrets in it, and the server's own keys that lie in it.

    For a database elsewhere a key is made once that was reached.
    """
    found = None if settings.database else _keys(settings, ids)
    store = await _open_store(settings, meter)
    try:
        found = found or _keys(settings, ids)
        vault = Vault(found.keys, ids)
        try:
            chain = await open_chain(store, vault, clock, ids)
            return store, vault, chain, await open_meeting_key(store, vault, ids)
        except VaultError as error:
            raise _wrong_key(settings, found) from error
    except BaseException:
        await store.close()
        raise


def _keys(settings: Settings, ids: Ids) -> MasterKeys:
    """The master keys; the folder is made where the database or the keys lie in it, readable by its owner only."""
    lies_elsewhere = settings.database and (settings.master_key or settings.master_key_file)
    if not settings.ephemeral and not lies_elsewhere:
        make_private_folder(settings.data)
    return master_keys(settings, ids)


def _rates(settings: Settings, store: Store) -> Rates | None:
    if not settings.rate_limit:
        return None
    return Rates(settings.rate_limit, settings.rate_burst, is_shared=store.is_shared)


def _wrong_key(settings: Settings, found: MasterKeys) -> VaultError:
    """What to tell when the keys do not open what is in the database. A key file that was made just now is removed."""
    where = "All servers on one database need the same key." if settings.database else ""
    if found.file and found.is_new:
        found.file.unlink()
        return VaultError(f"{found.file} is missing. Only it opens the secrets in this database: put it there. {where}")
    database = "this database" if settings.database else settings.data / DATABASE
    problem = f"{found.source} is not the key that sealed the secrets in {database}."
    return VaultError(f"{problem} Put that key back, or the database that belongs to this one. {where}".strip())


async def _open_store(settings: Settings, meter: Meter) -> Store:
    most = settings.most_waiting_writes
    if not settings.database:
        path = None if settings.ephemeral else settings.data / DATABASE
        migrations = settings.migrate
        return SqliteStore(path, durability=settings.durability, migrations=migrations, most_waiting=most, meter=meter)
    from palace.storage.postgres import open_postgres  # Who has no PostgreSQL need not wait for its client to load.

    return await open_postgres(
        settings.database,
        most_connections=settings.database_connections,
        statement_seconds=settings.database_seconds,
        most_waiting=most,
        meter=meter,
        migrations=settings.migrate,
    )


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
        await plant_seed(path, read_seed(path, RESOURCES, environment()), account, services)
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
        return Greeting(services.url, *await prepare(settings, services))


def _log_end(task: "asyncio.Task[None]") -> None:
    """What is done beside goes on until it is cancelled; when it broke, somebody should know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        structlog.get_logger("palace").error("work beside the requests ended", exc_info=error)


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
    rooms = Rooms(services, Think(Models(services)), Deliver(services))
    services = replace(services, talks=rooms)
    emulator = await _emulator(settings, services)

    def started() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
        log.info("listening", url=services.url)
        on_start()

    application = build_application(RESOURCES, services, settings, lambda: not server.is_draining, emulator, tracing)
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
    working = asyncio.create_task(keep_working(JOBS, services))
    beside = [working, asyncio.create_task(keep_forgetting(services)), asyncio.create_task(rooms.keep_talking())]
    if services.rates is not None and services.store.is_shared:
        sharing = keep_sharing(services.rates, services.store.share_rates, lambda: services.clock.now().timestamp())
        beside.append(asyncio.create_task(sharing))
    for task in beside:
        task.add_done_callback(_log_end)

    def drain() -> None:
        log.info("draining", seconds=settings.drain_seconds)
        working.cancel()  # Jobs are begun anew elsewhere, or at the next start.
        services.changes.end()
        rooms.stop()

    server = Server(config, started, drain, settings.drain_seconds, worker)
    try:
        await server.serve([listening])
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await services.store.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
        log.info("stopped")

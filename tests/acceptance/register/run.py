"""One run: servers, clients and faults for some time; then the history is checked, and told."""

import asyncio
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.acceptance.register.checker import Violation, check, excerpt
from tests.acceptance.register.choosing import Garden
from tests.acceptance.register.clients import Client
from tests.acceptance.register.collecting import audit_log, remembered
from tests.acceptance.register.history import Attempt, History
from tests.acceptance.register.nemesis import Nemesis
from tests.acceptance.register.worlds import World

On = Callable[[Path, str], AbstractAsyncContextManager[World]]

OWN_FRAME = re.compile(r' +File ".*/palace/\w')
"""In a traceback. The driver of PostgreSQL logs some of its own while the database is away, which are no bugs."""

CLIENTS = 10
PALS = 5


@dataclass
class Verdict:
    """What came of a run."""

    world: World
    seed: str
    seconds: float
    history: History
    resets: int
    violations: list[Violation]
    seconds_to_check: float

    def __str__(self) -> str:
        attempts = self.history.attempts
        outcomes = Counter(attempt.outcome for attempt in attempts)
        reads = sum(attempt.write is None for attempt in attempts)
        revisions = sum(len(pal.revisions) for pal in self.history.pals.values())
        kinds = Counter(trouble.name for trouble in self.history.troubles)
        faults = ", ".join(f"{number} {name}" for name, number in sorted(kinds.items()))
        nodes = len(self.world.nodes)
        lines = [
            f"{self.world.name}, {nodes} {'node' if nodes == 1 else 'nodes'}, seed {self.seed}, {self.seconds:.0f} s:",
            f"  {len(attempts)} requests ({reads} reads): {outcomes['done'] + outcomes['unchanged']} acknowledged, "
            f"{outcomes['refused']} refused, {outcomes['unknown']} of unknown outcome",
            f"  {len(self.history.writes)} writes made {revisions} revisions of {len(self.history.pals)} PALs; "
            f"{sum(attempt.is_replay for attempt in attempts)} answers were replays",
            f"  {kinds.total()} faults: {faults}; {self.resets} connections were reset",
            f"  checked in {self.seconds_to_check:.1f} s: {len(self.violations) or 'no'} violations",
        ]
        times = Counter(violation.kind for violation in self.violations)
        lines += [f"  {number} {kind}" for kind, number in times.items()]
        first = {violation.kind: violation for violation in reversed(self.violations)}
        return "\n".join([*lines, *(excerpt(self.history, first[kind]) for kind in times)])


def torture(on: On, folder: Path, seed: str, seconds: float) -> Verdict:
    """Run for so many seconds, and check. The folder keeps the logs and, where something is wrong, the history."""
    verdict = asyncio.run(_torture(on(folder, seed), seed, seconds))
    if verdict.violations:
        history = verdict.history
        told = sorted([*history.attempts, *history.troubles], key=lambda one: one.began)
        remembered = [f"{pal.id} {revision}" for pal in history.pals.values() for revision in pal.revisions]
        (folder / "history.txt").write_text("\n".join([*map(str, told), *remembered, *map(str, verdict.violations)]))
    return verdict


async def _torture(world: AbstractAsyncContextManager[World], seed: str, seconds: float) -> Verdict:
    attempts: list[Attempt] = []
    garden, storm, work = Garden(PALS), asyncio.Event(), asyncio.Event()
    async with world as there:
        nemesis = Nemesis(Random(f"{seed} nemesis"), there.faults)
        ports = [node.proxy.port for node in there.nodes]
        clients = [Client(number, f"{seed}-{number}", garden, ports, attempts) for number in range(CLIENTS)]
        async with asyncio.TaskGroup() as group:
            raging = group.create_task(nemesis.rage(storm))
            for client in clients:
                group.create_task(client.live(work))
            await asyncio.wait([raging], timeout=seconds)
            storm.set()
            await raging
            for node in there.nodes:
                await node.start_if_it_ended()
            await asyncio.sleep(0.5)
            work.set()
        known = {attempt.pal for attempt in attempts if attempt.pal is not None}
        pals = await remembered(ports[0], Client(CLIENTS, seed, garden, ports, attempts), known)
        problems = await _stopped(there)
        audited, findings = await audit_log(there.nodes[0].data, there.nodes[0].variables)
        problems += [Violation("audit_log", finding) for finding in findings]
        problems += _unsound(there.files)
        resets = sum(proxy.resets for proxy in there.proxies)
    began = time.monotonic()
    history = History(attempts, pals, audited, nemesis.done)
    violations = [*check(history), *problems]
    took = time.monotonic() - began
    return Verdict(there, seed, seconds, history, resets, violations, took)


async def _stopped(world: World) -> list[Violation]:
    """Stop all servers; those that did not end well, or ended before they were told to."""
    problems = []
    for node in world.nodes:
        code = await node.stop()
        if node.ended_by_itself or code != 0:
            text = f"Node {node.number} ended by itself with {node.ended_by_itself}, and at the end with {code}."
            problems.append(Violation("ended_by_itself", text))
        log = node.data.parent / f"{node.data.name}.log"
        frames = [line for line in log.read_text().splitlines() if OWN_FRAME.match(line)]
        problems += [Violation("bug_in_log", f"{log} has a traceback, with {frames[-1].strip()}.")] if frames else []
    return problems


def _unsound(files: list[Path]) -> list[Violation]:
    problems = []
    for path in files:
        with sqlite3.connect(path) as file:
            answer = file.execute("PRAGMA integrity_check").fetchall()
        file.close()
        problems += [] if answer == [("ok",)] else [Violation("corrupt", f"{path}: {answer[:3]}")]
    return problems

"""Many conversations at once in one process on SQLite: what the server adds to a turn, and what an idle one weighs.

Run with `python -m benchmarks.conversations`, or `make bench-conversations`; two minutes. Each conversation is a
WebSocket on which somebody says something every five seconds; the scripted model answers at 50 words a second, so what
a turn takes beyond that is the server's. Every app message is checked: in order, none twice, none lost.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvloop
from websockets.asyncio.client import connect

from benchmarks.processes import HOST, cpu_seconds, end, free_port, launch, memory_mib

WORDS = 25
WORDS_PER_SECOND = 50
TURN_EVERY_SECONDS = 5.0
KEY = "tvk-benchmark-of-conversations-0123456789"
ANSWER = " ".join(f"word{number}" for number in range(WORDS))
SCRIPT = {"tokens_per_second": WORDS_PER_SECOND, "rules": [{"say": ANSWER}]}
MODEL_SECONDS = WORDS / WORDS_PER_SECOND
OVERHEAD_MS, IDLE_KIB = 15.0, 100.0
"""What the server may add to a turn, p95; what an idle conversation may weigh."""


@dataclass
class Seen:
    """What one client saw: the time of each turn in seconds, and what was wrong."""

    turns: list[float] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def visit(url: str, seen: Seen, ready: asyncio.Event, begin: asyncio.Event, offset: float, until: float) -> None:
    """Come in, and from `begin` on say something every five seconds until `until` seconds later."""
    async with connect(f"{url.replace('http', 'ws', 1)}/ws", compression=None, max_queue=None) as socket:
        ready.set()
        await begin.wait()
        started = time.perf_counter()
        await asyncio.sleep(offset)
        while time.perf_counter() - started < until:
            said = time.perf_counter()
            await socket.send(json.dumps({"event_type": "conversation.respond", "properties": {"text": "Go on."}}))
            await _hear(socket, seen)
            seen.turns.append(time.perf_counter() - said)
            await _pause(socket, seen, max(0.0, TURN_EVERY_SECONDS - seen.turns[-1]))


async def _hear(socket: Any, seen: Seen) -> None:
    """Everything up to the PAL's whole answer."""
    while True:
        message = orjson.loads(await asyncio.wait_for(socket.recv(), 30))
        said = message.get("properties", {})
        _note(message, seen)
        if message["event_type"] == "conversation.utterance" and said["role"] == "replica":
            if said["speech"] != ANSWER:
                seen.wrong.append(f"another answer: {said['speech'][:60]!r}")
            return


async def _pause(socket: Any, seen: Seen, seconds: float) -> None:
    """What comes while nobody says anything: the end of the answer, and a sign of life now and then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                _note(orjson.loads(await socket.recv()), seen)


def _note(message: dict[str, Any], seen: Seen) -> None:
    """Check the order; both copies of a message have one number, and signs of life have none."""
    seq = message.get("seq")
    if seq is None:
        return
    if seen.seqs and seq < seen.seqs[-1]:
        seen.wrong.append(f"{seq} came after {seen.seqs[-1]}")
    if not seen.seqs or seq != seen.seqs[-1]:
        seen.seqs.append(seq)


async def lost(client: httpx.AsyncClient, id: str, seen: Seen) -> int:
    """How many of the stored app messages that came after the first one seen did not arrive."""
    after = seen.seqs[0] - 1
    kept: set[int] = set()
    while True:
        page = (await client.get(f"/v2/conversations/{id}/messages", params={"after": after})).json()
        kept |= {message["seq"] for message in page["data"]}
        if not page["data"]:
            return len(kept - set(seen.seqs))
        after = page["seq"]


async def measure(url: str, pid: int, count: int, seconds: float) -> dict[str, Any]:
    """All of it, against a server that runs. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}, timeout=60) as client:
        made = [await _made(client) for _ in range(count)]
        before = memory_mib([pid])
        seen = [Seen() for _ in made]
        begin = asyncio.Event()
        readies = [asyncio.Event() for _ in made]
        visits = [
            asyncio.create_task(
                visit(one["conversation_url"], seen[n], readies[n], begin, TURN_EVERY_SECONDS * n / count, seconds)
            )
            for n, one in enumerate(made)
        ]
        await asyncio.gather(*(ready.wait() for ready in readies))
        await asyncio.sleep(1)
        idle_kib = (memory_mib([pid]) - before) * 1024 / count
        gc.freeze()  # The pauses of this process are not to be the server's.
        gc.disable()
        cpu, wall = cpu_seconds([pid]), time.perf_counter()
        begin.set()
        await asyncio.gather(*visits)
        cpu, wall = cpu_seconds([pid]) - cpu, time.perf_counter() - wall
        missing = [await lost(client, one["conversation_id"], seen[n]) for n, one in enumerate(made)]
    overheads = sorted((turn - MODEL_SECONDS) * 1000 for one in seen for turn in one.turns)
    cuts = statistics.quantiles(overheads, n=100)
    return {
        "conversations": count,
        "turns": len(overheads),
        "overhead_ms": {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": overheads[-1]},
        "cpu_ms_per_turn": cpu * 1000 / len(overheads),
        "cpu_share": cpu / wall,
        "idle_kib": idle_kib,
        "lost": sum(missing),
        "wrong": [text for one in seen for text in one.wrong][:10],
    }


async def _made(client: httpx.AsyncClient) -> dict[str, Any]:
    body = {"pal_id": "pcb7a34da5fe", "chat": True, "properties": {"participant_left_timeout": 600}}
    answer = await client.post("/v2/conversations", json=body)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


def run(count: int, seconds: float) -> dict[str, Any]:
    """Start a server, measure, end it."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "script.json").write_text(json.dumps(SCRIPT))
        command = [sys.executable, "-m", "palace", "serve", "--port", str(port), "--data", str(folder / "data")]
        command += ["--scripted-model", str(folder / "script.json"), "--no-log-requests"]
        process = launch(command, {"PALACE_API_KEY": KEY}, folder / "log", Path(__file__).parents[1])
        try:
            url = f"http://{HOST}:{port}"
            _wait(url)
            return uvloop.run(measure(url, process.pid, count, seconds))
        finally:
            end(process)


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")


def main() -> int:
    """Print what was measured; 1 when a message was lost, or an aim was missed with `--enforce`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--enforce", action="store_true", help="fail when an aim is missed")
    given = parser.parse_args()
    found = run(given.conversations, given.seconds)
    print(json.dumps(found, indent=2))
    met = found["overhead_ms"]["p95"] <= OVERHEAD_MS and found["idle_kib"] <= IDLE_KIB
    print(
        f"overhead p95 {found['overhead_ms']['p95']:.1f} ms (aim {OVERHEAD_MS:.0f}), "
        f"idle {found['idle_kib']:.0f} KiB (aim {IDLE_KIB:.0f}): {'met' if met else 'missed'}"
    )
    return 1 if found["lost"] or found["wrong"] or (given.enforce and not met) else 0


if __name__ == "__main__":
    sys.exit(main())

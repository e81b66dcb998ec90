"""Which operation answered which status to whom, read from the logs of the servers that the tests start.

With `PALACE_OBSERVED=FOLDER`, each run of the tests leaves what it saw in a file there. `make compatibility` makes
`tests/recorded/observed.json` of it, from which `docs/reference/compatibility.md` is generated; `.ci/run` checks that
everything in that file is still seen.
"""

import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "tests/recorded/observed.json"
VARIABLE = "PALACE_OBSERVED"

ANYBODY = "tests"
NO_ANSWERS = {0, 405}
"""A client that went away, and a method that is no operation."""
CLIENTS = {
    "curl/": "curl",
    "Python-urllib/": "urllib",
    "tavus-cli/": "tavus-cli",
    "tavus-mcp/": "tavus-mcp",
    "livekit-plugins-tavus": "livekit-plugins-tavus",
    "pipecat-ai": "pipecat-ai",
}
"""How the `User-Agent` begins, and whose it is. The last two take an HTTP session, which the tests give that name."""

REQUEST = re.compile(
    r"\] request +client=(?P<client>'[^']*'|\S*) +method=(?P<method>[A-Z]+) "
    r".* route=(?P<route>/v2/(?!media/)\S*) +status=(?P<status>\d+)$"
)

Observed = dict[str, dict[str, list[int]]]
"""For each operation, as in `GET /v2/pals/{id}`, the statuses that each client saw; `tests` is all of them together."""

logs: set[Path] = set()
"""The logs of all servers started so far."""


def settings() -> dict[str, str]:
    """What a server is told, so that its log tells of every request."""
    return {"PALACE_LOG_REQUESTS": "true"} if os.environ.get(VARIABLE) else {}


def observed_in(log: str) -> Iterable[tuple[str, str, int]]:
    """Operation, client and status of each request in a log; the client is `""` where it is none of the known."""
    for line in log.splitlines():
        found = REQUEST.search(line)
        if found is not None and int(found["status"]) not in NO_ANSWERS and found["method"] != "HEAD":
            agent = found["client"].strip("'")
            client = next((name for start, name in CLIENTS.items() if agent.startswith(start)), "")
            yield f"{found['method']} {found['route']}", client, int(found["status"])


def together(parts: Iterable[tuple[str, str, int]]) -> Observed:
    """Everything seen, in order."""
    seen: dict[str, dict[str, set[int]]] = {}
    for operation, client, status in parts:
        for name in {ANYBODY, client} - {""}:
            seen.setdefault(operation, {}).setdefault(name, set()).add(status)
    return {
        operation: {name: sorted(statuses) for name, statuses in sorted(by_client.items())}
        for operation, by_client in sorted(seen.items())
    }


def parts(observed: Observed) -> set[tuple[str, str, int]]:
    """Operation, client and status, one by one."""
    return {
        (operation, client, status)
        for operation, by_client in observed.items()
        for client, statuses in by_client.items()
        for status in statuses
    }


def text(observed: Observed) -> str:
    """One line for each operation."""
    lines = [f"  {json.dumps(operation)}: {json.dumps(by_client)}" for operation, by_client in observed.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def finish() -> None:
    """Leave what this run saw where the environment says, if it does."""
    folder = os.environ.get(VARIABLE)
    if folder:
        seen = together(part for log in sorted(logs) if log.exists() for part in observed_in(log.read_text()))
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{os.getpid()}.json").write_text(text(seen))


def read(folder: Path) -> Observed:
    """What all runs saw that left something in this folder."""
    return together(part for path in sorted(folder.glob("*.json")) for part in parts(json.loads(path.read_text())))


def main(command: str, folder: str) -> int:
    """`write` the recorded file anew, or `check` that everything in it was seen."""
    seen = read(Path(folder))
    if command == "write":
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(text(seen))
        return 0
    missing = sorted(parts(json.loads(RECORDED.read_text())) - parts(seen))
    for operation, client, status in missing:
        print(f"recorded, but not seen any more: {operation} {status} ({client})")
    print(
        f"{len(missing)} of what {RECORDED.relative_to(ROOT)} says was not seen. If that is right: make compatibility"
    )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

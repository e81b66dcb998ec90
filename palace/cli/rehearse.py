"""`palace rehearse`: visitors from a script talk to a PAL on a running server, before people do."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from palace.cli.progress import progress
from palace.cli.remote import DEFAULT_URL, AsJson, Key, PalId, Url, connected, console, fail, print_json, printable
from palace.client import Remote
from palace.yaml_text import read_file

FIRST_LOOK_SECONDS = 0.1
LAST_LOOK_SECONDS = 2.0
LINES_OF_A_TALK = 30

Suite = Annotated[Path | None, typer.Option(metavar="FILE", help="The suite, YAML or JSON.", show_default=False)]
Conversation = Annotated[
    str,
    typer.Option(
        "--conversation", metavar="ID", show_default=False, help="Say again what its visitor said; show what differs."
    ),
]
PassRate = Annotated[float, typer.Option(min=0, max=1, help="The part of the talks that must pass.")]


def rehearse(
    id: PalId,
    suite: Suite = None,
    suite_id: Annotated[str, typer.Option(metavar="ID", help="A suite on the server.", show_default=False)] = "",
    conversation: Conversation = "",
    revision: Annotated[int, typer.Option(metavar="N", help="The PAL as of a revision.", show_default=False)] = 0,
    draft: Annotated[bool, typer.Option("--draft", help="The draft of the PAL.")] = False,
    runs: Annotated[int, typer.Option(metavar="N", help="How often each visitor comes.", show_default=False)] = 0,
    pass_rate: PassRate = 1.0,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML too.", show_default=False)] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Let visitors from a script talk to a PAL.

    It is rehearsed as it is live, as of a revision, or as its draft has it. Ends with 1 unless enough talks pass; with
    --conversation nothing passes or fails, and you see what differs.
    """
    if junit is not None and conversation:
        raise fail("--junit is for suites: a replay passes or fails nothing.")
    body: dict[str, Any] = {"draft": True} if draft else {}
    wanted = {"suite_id": suite_id, "conversation_id": conversation, "revision": revision, "runs": runs}
    body |= {name: value for name, value in wanted.items() if value}
    if suite is not None:
        body["suite"] = _read_suite(suite)
    with connected(url, key) as remote, progress() as begin:
        found = _finished(remote, id, body, begin("rehearsing"))
    if found["status"] == "error":
        raise fail(f"The rehearsal came to nothing: {found['error_message']}")
    report = found["report"]
    if junit is not None:
        _write_junit(junit, report)
    if as_json:
        print_json(found)
    else:
        (show_replay if report["kind"] == "replay" else show_report)(console(), report)
    if report["kind"] == "suite" and report["pass_rate"] < pass_rate:
        raise typer.Exit(1)


def _read_suite(path: Path) -> Any:
    """The suite in a file, in the form of the wire. Raises typer.Exit with everything that is wrong."""
    from palace.rehearsal import InvalidSuite, read_suite, written_out  # The brain need not load for other commands.

    try:
        said = written_out(read_file(path))
        read_suite(said)
    except (ValueError, InvalidSuite) as error:
        lines = "\n  ".join(printable(line) for line in str(error).splitlines())
        raise fail(f"The suite {path} cannot be used:\n  {lines}") from error
    return said


def _finished(remote: Remote, id: str, body: Mapping[str, Any], tell: Callable[[int, int], None]) -> dict[str, Any]:
    """The rehearsal once it is over."""
    begun = remote.act(id, "rehearsals", dict(body)).document
    seconds = FIRST_LOOK_SECONDS
    while True:
        found = remote.rehearsal(id, begun["rehearsal_id"])
        if found["status"] != "running":
            return found
        over, _, total = found["progress"].partition("/")
        tell(int(over), int(total))
        time.sleep(seconds)
        seconds = min(seconds * 1.3, LAST_LOOK_SECONDS)


def _write_junit(path: Path, report: Mapping[str, Any]) -> None:
    from palace.rehearsal import junit_of

    try:
        path.write_bytes(junit_of(report))
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror}.") from error


# --- For people -------------------------------------------------------------------------------------------------------


def show_report(shown: Console, report: Mapping[str, Any]) -> None:
    """How often each visitor passed, what failed, what was exercised, what it cost."""
    table = Table(Column("visitor", overflow="fold"), "passed", "rate", "", box=None, pad_edge=False)
    for one in report["visitors"]:
        sign = "flaky" if one["is_flaky"] else "" if one["passed"] else "failed"
        table.add_row(printable(one["name"]), f"{one['passed']} of {one['runs']}", f"{one['pass_rate']:.0%}", sign)
    shown.print(table)
    for talk in report["talks"]:
        if not talk["has_passed"]:
            _show_talk(shown, talk)
    for kind, names in report["coverage"]["not_exercised"].items():
        if names:
            shown.print(f"Not exercised, {kind}: {printable(', '.join(names))}", style="yellow")
    _show_tokens(shown, report)
    passed = sum(one["has_passed"] for one in report["talks"])
    style = "green" if passed == len(report["talks"]) else "red"
    shown.print(f"{passed} of {len(report['talks'])} talks passed.", style=style)


def _show_talk(shown: Console, talk: Mapping[str, Any]) -> None:
    from palace.rehearsal.report import problems_of, spoken_lines

    shown.print(f"\n{printable(talk['visitor'])}, run {talk['run']}:", style="bold")
    for line in problems_of(talk):
        shown.print(f"  {printable(line)}", style="red")
    for line in spoken_lines(talk.get("transcript", ()))[:LINES_OF_A_TALK]:
        shown.print(f"    {printable(line)}", style="dim")


def show_replay(shown: Console, report: Mapping[str, Any]) -> None:
    """Each turn: what the visitor said, what the PAL did then, and what it does now where that differs."""
    for turn in report["turns"]:
        shown.print(f"\nvisitor: {printable(turn['visitor'])}" if turn["visitor"] is not None else "(comes in)")
        if not turn["differs"]:
            shown.print(f"    {_deeds(turn['after'])}", style="dim")
            continue
        shown.print(f"  - {_deeds(turn['before'])}", style="red")
        shown.print(f"  + {_deeds(turn['after'])}", style="green")
    for problem in report["problems"]:
        shown.print(printable(problem), style="yellow")
    _show_tokens(shown, report)
    shown.print(f"{report['differs']} of {len(report['turns'])} turns differ.")


def _deeds(side: Mapping[str, Any]) -> str:
    calls = [f"[{call['tool']}({call['arguments']})]" for call in side["calls"]]
    return printable(" ".join([*calls, side["said"]]).strip()) or "(nothing)"


def _show_tokens(shown: Console, report: Mapping[str, Any]) -> None:
    parts = [f"{who} {used['prompt']} + {used['completion']}" for who, used in report["tokens"].items()]
    shown.print(f"Tokens (asked + answered): {', '.join(parts)}")

"""`palace doctor`: look an installation over, one line for each thing."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from palace.app import settings_from
from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER
from palace.cli.remote import AsJson, Key, console, print_json
from palace.doctor import Finding, examine
from palace.settings import InvalidSetting

MARKS = {"ok": ("OK", "green"), "note": ("NOTE", "yellow"), "problem": ("PROBLEM", "red")}


@with_flags(FOLDER)
def doctor_command(
    flags: dict[str, Any],
    url: Annotated[str, typer.Option(help="The URL of a running server that is to be looked at, too.")] = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Look the installation over: what is wrong, what to do.

    It checks the settings, the data folder, the master key, the database and, with --url, the running server.
    Nothing is changed. Each line says what to do about it, if it is no good. The exit code is 1 after any problem.
    """
    try:
        settings = settings_from(flags)
        found = asyncio.run(examine(settings, url, key))
    except InvalidSetting as error:
        found = [Finding("settings", "problem", str(error), "Correct it; docs/reference/settings.md lists all.")]
    if as_json:
        print_json([finding._asdict() for finding in found])
    else:
        for finding in found:
            _show(finding)
    sys.stdout.flush()
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    mark, style = MARKS[finding.state]
    console().print(f"{mark:<8}", style=style, end="")
    console().print(f"{finding.name}: {finding.said}")
    if finding.remedy:
        console().print(f"        → {finding.remedy}")

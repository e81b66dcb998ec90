"""`palace plan`: what files in git would change on a server."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from palace.app import environment
from palace.cli.folder import PLAN, PalFile, UnusableFile, digests, read_folder, write_plan
from palace.cli.planning import Finding, check_variables, find, show_finding
from palace.cli.pull import Folder
from palace.cli.remote import (
    DEFAULT_URL,
    AsJson,
    Force,
    Key,
    Rebase,
    Url,
    connected,
    console,
    fail,
    on_draft,
    print_json,
)
from palace.client import Terms
from palace.clock import Clock, timestamp
from palace.config_files import Plan, dump_plan

CHANGES_PENDING = 2


def plan(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Where the plan is saved, instead of DIR/{PLAN}.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 2 when something would change.")] = False,
    force: Force = False,
    rebase: Rebase = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Show what the files would change, and save that as a plan.

    `palace apply` carries it out.

    A file owns the members that it declares and no others; null clears one. A file without pal_id makes a new PAL.
    A PAL without a file is left alone. ${env:NAME} stands for an environment variable, and is kept out of the plan.
    """
    terms = Terms(on_draft=on_draft(force, rebase))
    target = out or folder / PLAN
    try:
        files = read_folder(folder)
        check_variables(files, environment())
        with connected(url, key) as remote:
            findings = [find(remote, file, terms, environment()) for file in files]
            entries = [finding.entry for finding in findings if finding.entry is not None]
            made = Plan(remote.url, timestamp(Clock().now()), digests(files), entries, terms.on_draft)
        write_plan(target, made)
    except UnusableFile as error:
        raise fail(str(error)) from error
    if as_json:
        print_json(orjson.loads(dump_plan(made)))
    else:
        _show(files, findings, made, folder, target)
    if exit_code and entries:
        raise typer.Exit(CHANGES_PENDING)


def _show(files: list[PalFile], findings: list[Finding], made: Plan, folder: Path, target: Path) -> None:
    shown = console()
    for file, finding in zip(files, findings, strict=True):
        show_finding(shown, file, finding)
    creations = sum(entry.create is not None for entry in made.entries)
    changes = len(made.entries) - creations
    shown.print(f"{changes} to change, {creations} to make, {len(files) - len(made.entries)} as they should be.")
    if made.entries:
        option = "" if target == folder / PLAN else f" --plan {target}"
        shown.print(f"Carry it out with: palace apply {folder}{option}")

"""`palace pal`: look at PALs, change them and undo changes, on a running server."""

from dataclasses import replace
from typing import Annotated, Any

import orjson
import typer
from rich.table import Column, Table

from palace.cli.edit import edit
from palace.cli.patch import patch
from palace.cli.remote import (
    DEFAULT_URL,
    AsJson,
    Comment,
    DryRun,
    Force,
    Key,
    PalId,
    Rebase,
    Url,
    Yes,
    connected,
    console,
    fail,
    is_confirmed,
    name_of,
    on_draft,
    print_json,
    printable,
    tell_written,
)
from palace.cli.shown import show_changes, show_preview
from palace.client import Remote, Terms
from palace.json_patch import parse_pointer
from palace.revisions.changes import ABSENT, Change
from palace.shown import MASK
from palace.yaml_text import write_yaml

Number = Annotated[int, typer.Argument(metavar="N", help="A number of `palace pal log`.", show_default=False)]

pal = typer.Typer(
    help="Look at PALs, change them and undo changes, on a running server.\n\n"
    "The server and the key come from TAVUS_PUBLIC_API_BASE_URL and TAVUS_API_KEY, as for every client of the API.",
    no_args_is_help=True,
)


@pal.command("list")
def list_pals(
    all: Annotated[bool, typer.Option("--all", help="Stock PALs too.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List your PALs, oldest first."""
    with connected(url, key) as remote:
        found = remote.pals(owned="all" if all else "user")
    if as_json:
        print_json(found)
        return
    table = Table("id", "name", "mode", "changed", box=None, pad_edge=False)
    for document in found:
        name = printable(document.get("pal_name") or "")
        table.add_row(document["pal_id"], name, document["pipeline_mode"], _time(document["updated_at"]))
    console().print(table)


@pal.command("get")
def get(
    id: PalId,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print YAML, for people; the default.")] = False,
    as_json: AsJson = False,
    revision: Annotated[int, typer.Option(help="The PAL as it was then.", show_default=False)] = 0,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Print a PAL. Secrets are shown as ********."""
    if as_yaml and as_json:
        raise fail("Give --yaml or --json, not both.")
    with connected(url, key) as remote:
        seen = remote.pal_at(id, revision) if revision else remote.pal(id)
    if as_json:
        print_json(seen.document)
    else:
        print(f"# Revision {seen.revision}, ETag {seen.etag}")
        typer.echo(write_yaml(seen.document), nl=False)


pal.command("edit")(edit)
pal.command("patch")(patch)


@pal.command("diff")
def diff(
    id: PalId,
    earlier: Annotated[int, typer.Argument(metavar="FROM", help="A revision; else the one before TO.")] = 0,
    later: Annotated[int, typer.Argument(metavar="TO", help="A revision; else the newest.")] = 0,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Show what changed between two revisions.

    Without numbers: what the newest one changed.
    """
    with connected(url, key) as remote:
        found = remote.diff(id, earlier or None, later or None)
    if as_json:
        print_json(found)
        return
    shown = console()
    shown.print(f"{id}: revision {found['from']} → {found['to']}", style="bold")
    show_changes(shown, [_change(item) for item in found["changes"]])
    if not found["changes"]:
        print("Nothing changed.")


@pal.command("log")
def log(
    id: PalId,
    most: Annotated[int, typer.Option("-n", min=1, help="The most revisions to show.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """List the revisions of a PAL, newest first."""
    with connected(url, key) as remote:
        found = remote.revisions(id, most)
    if as_json:
        print_json(found)
        return
    touched_column = Column("touched", overflow="fold")
    table = Table("number", "when", "who", "action", "comment", touched_column, box=None, pad_edge=False)
    for item in found:
        touched = " ".join(item.get("touched") or [])
        who, comment = item.get("key_id") or "", printable(item.get("comment") or "")
        table.add_row(str(item["revision"]), _time(item["created_at"]), who, _action(item), comment, touched)
    console().print(table)


@pal.command("effective")
def effective(
    id: PalId,
    pointer: Annotated[str, typer.Argument(metavar="POINTER", help="Only what is there: /layers/tts.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Show what a conversation would use, and where it comes from.

    Each value is shown with the revision that set it.
    """
    with connected(url, key) as remote:
        found = remote.effective(id, pointer)
    if as_json:
        print_json(found)
        return
    value_column = Column("value", overflow="fold")
    table = Table("pointer", value_column, "source", "revision", "changed", box=None, pad_edge=False)
    for item in found:
        value = printable(orjson.dumps(item["value"]).decode())
        source = " ".join(str(part) for part in (item["source"], item.get("id"), item.get("problem")) if part)
        number, when = item["revision"], item["changed_at"]
        table.add_row(item["pointer"], value, source, str(number or ""), _time(when) if when else "")
    console().print(table)


@pal.command("rollback")
def rollback(
    id: PalId,
    number: Number,
    comment: Comment = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    force: Force = False,
    rebase: Rebase = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Make a PAL what it was at revision N. This is a new revision: nothing is lost."""
    terms = Terms(comment, on_draft=on_draft(force, rebase))
    with connected(url, key) as remote:
        _undo(remote, id, "rollback", {"to": number}, terms, dry_run=dry_run, is_sure=yes)


@pal.command("revert")
def revert(
    id: PalId,
    number: Number,
    comment: Comment = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    force: Force = False,
    rebase: Rebase = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Take back what revision N changed, and keep what came after it."""
    terms = Terms(comment, on_draft=on_draft(force, rebase))
    with connected(url, key) as remote:
        _undo(remote, id, f"revisions/{number}/revert", {}, terms, dry_run=dry_run, is_sure=yes)


@pal.command("restore")
def restore(id: PalId, comment: Comment = "", url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Bring back a PAL that was deleted."""
    with connected(url, key) as remote:
        tell_written(remote.act(id, "restore", {}, Terms(comment)), "Restored")


def _undo(
    remote: Remote, id: str, action: str, body: dict[str, Any], terms: Terms, *, dry_run: bool, is_sure: bool
) -> None:
    seen = remote.pal(id)
    terms = replace(terms, if_match=seen.etag)
    preview = remote.preview_act(id, action, body, terms)
    if not preview.changed:
        print("Nothing changed.")
        return
    if dry_run or not is_sure:
        show_preview(console(), seen.document, preview)
    if dry_run:
        return
    if not is_sure and not is_confirmed(f"Change {name_of(seen.document)}?"):
        raise fail("Nothing was changed.")
    tell_written(remote.act(id, action, body, terms), "Changed")


def _change(item: dict[str, Any]) -> Change:
    """One of the changes that the server lists; a secret that became another one has a mask on both sides."""
    none = MASK if item["kind"] == "secret_changed" else ABSENT
    pointer = item["pointer"]
    return Change(pointer, parse_pointer(pointer), item.get("before", none), item.get("after", none))


def _action(revision: dict[str, Any]) -> str:
    about = revision.get("about") or {}
    plain = {name.replace("_", " "): value for name, value in about.items() if isinstance(value, str | int)}
    facts = ", ".join(f"{name} {value}" for name, value in plain.items())
    return f"{revision['action']} ({facts})" if facts else str(revision["action"])


def _time(timestamp: str) -> str:
    """To the second: `2026-10-07 23:44:47`, in UTC."""
    return timestamp[:19].replace("T", " ")

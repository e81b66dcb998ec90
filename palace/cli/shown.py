"""How changes are shown to people: one member after the other, what was there in red and what comes in green."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from rich.console import Console

from palace.cli.remote import printable
from palace.client import Document, Preview
from palace.json_patch import parse_pointer
from palace.revisions.changes import ABSENT, Change, changes
from palace.shown import MASK, STAMPED
from palace.yaml_text import write_yaml

MARKS = {"added": "+", "removed": "-", "changed": "~"}
STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
LINES_AROUND = 1


def show_changes(console: Console, changes: Iterable[Change], indent: str = "") -> None:
    """Each member's pointer, and its lines that go and come."""
    for change in changes:
        console.print(f"{indent}{MARKS[change.kind]} {change.pointer}", style=STYLES[change.kind])
        for mark, line in changed_lines(change):
            style = {"-": "red", "+": "green"}.get(mark, "dim")
            console.print(f"{indent}    {mark} {printable(line)}".rstrip(), style=style)


def show_preview(console: Console, document: Document, preview: Preview) -> None:
    """What a write would change of a PAL as it is now, and what else would happen."""
    show_changes(console, server_changes(document, preview))
    for effect in preview.effects:
        console.print(effect_line(effect), style="yellow")


def effect_line(effect: Document) -> str:
    """What else would happen, in a few words."""
    return f"also: {effect.get('kind')} {effect.get('id')} {effect.get('what')}"


def server_changes(document: Document, preview: Preview) -> list[Change]:
    """The members that a write would change; a secret that becomes another one has a mask on both sides."""
    found = changes(document, preview.document, ignored=(STAMPED,))
    shown = {change.pointer for change in found}
    secrets = [pointer for pointer in preview.touched if pointer not in shown]
    return found + [Change(pointer, parse_pointer(pointer), MASK, MASK) for pointer in secrets]


def patch_lines(patch: list[dict[str, Any]]) -> list[str]:
    """A JSON Patch with one operation on a line; a secret in it is one only if the caller put it there."""
    texts = [orjson.dumps(operation).decode() for operation in patch]
    return ("[" + ",\n ".join(texts) + "]").split("\n")


def changed_lines(change: Change) -> Iterator[tuple[str, str]]:
    """`-` lines, `+` lines and the lines between them; a new value in the place of a secret is not shown."""
    before = [] if change.before is ABSENT else _lines(change.before)
    after = [] if change.after is ABSENT else _lines(_guarded(change))
    if len(before) < 2 or len(after) < 2:
        yield from (("-", line) for line in before)
        yield from (("+", line) for line in after)
        return
    unified = difflib.unified_diff(before, after, lineterm="", n=LINES_AROUND)
    for line in list(unified)[2:]:
        if not line.startswith("@@"):
            yield line[0], line[1:]
        elif not line.startswith("@@ -1"):
            yield " ", "…"


def _guarded(change: Change) -> Any:
    is_secret = change.before == MASK and isinstance(change.after, str) and "${env:" not in change.after
    return "(another secret)" if is_secret else change.after


def _lines(value: Any) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    return write_yaml(value).rstrip("\n").splitlines()

"""What a folder of files would change on a server, file by file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from palace.cli.folder import PalFile, UnusableFile
from palace.cli.remote import name_of
from palace.cli.sending import preview_patches
from palace.cli.shown import effect_line, patch_lines, server_changes, show_changes
from palace.client import Remote, RemoteError, Terms
from palace.config_files import PlanEntry, escaped, member_patches, missing_variables, resolved, with_declared
from palace.json_patch import apply_patch, compile_patch
from palace.revisions.changes import Change, changes, overlap


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be done for one file (None: nothing), and what that changes, for people."""

    entry: PlanEntry | None
    changes: list[Change]
    effects: list[dict[str, Any]]


def check_variables(files: list[PalFile], environment: Mapping[str, str]) -> None:
    """Raises UnusableFile, naming all that any file refers to and nobody has set."""
    missing = [f"{name} ({file.name})" for file in files for name in missing_variables(file.members, environment)]
    if missing:
        raise UnusableFile(f"Not set in the environment, but referred to: {', '.join(missing)}.")


def find(remote: Remote, file: PalFile, terms: Terms, environment: Mapping[str, str]) -> Finding:
    """What the file would change; the server decides whether that is anything. Raises RemoteError naming the file."""
    try:
        if file.pal_id is None:
            return _find_new(remote, file, environment)
        return _find_change(remote, file, file.pal_id, terms, environment)
    except RemoteError as error:
        raise error.told(f"{file.name}: {error}") from error


def _find_new(remote: Remote, file: PalFile, environment: Mapping[str, str]) -> Finding:
    remote.check_previews()
    preview = remote.preview_create(resolved(file.members, environment))
    name = str(file.members.get("pal_name") or "a new PAL")
    entry = PlanEntry(file.name, None, name, create=file.members)
    return Finding(entry, changes({}, file.members), preview.effects)


def _find_change(remote: Remote, file: PalFile, id: str, terms: Terms, environment: Mapping[str, str]) -> Finding:
    seen = remote.pal(id)
    current = escaped(seen.document)
    patches = member_patches(current, with_declared(current, file.members, environment))
    previews = preview_patches(remote, id, seen, resolved(patches, environment), terms)
    wanted = [(patch, preview) for patch, preview in zip(patches, previews, strict=True) if preview.changed]
    if not wanted:
        return Finding(None, [], [])
    entry = PlanEntry(file.name, id, name_of(seen.document), seen.etag, [patch for patch, _ in wanted])
    changes = [
        change
        for patch, preview in wanted
        for change in _shown_changes(current, patch, server_changes(seen.document, preview))
    ]
    return Finding(entry, changes, [effect for _, preview in wanted for effect in preview.effects])


def _shown_changes(current: Any, patch: list[dict[str, Any]], by_server: list[Change]) -> list[Change]:
    """The file's own changes, with references instead of secrets, and those that the server adds to them."""
    own = changes(current, apply_patch(current, compile_patch(patch)).document)
    real = [change for change in own if any(overlap(change.tokens, other.tokens) for other in by_server)]
    return real + [other for other in by_server if not any(overlap(other.tokens, change.tokens) for change in own)]


def show_finding(console: Console, file: PalFile, finding: Finding) -> None:
    """The file, what it changes, and the patch."""
    entry = finding.entry
    if entry is None:
        console.print(f"{file.name}: no changes", style="dim")
        return
    what = f"make {entry.name}" if entry.create is not None else f"change {entry.name}"
    console.print(f"{file.name}: {what}", style="bold")
    show_changes(console, finding.changes, "  ")
    for effect in finding.effects:
        console.print(f"  {effect_line(effect)}", style="yellow")
    for patch in entry.patches:
        console.print("  patch:", style="dim")
        for line in patch_lines(patch):
            console.print(f"    {line}", style="dim")

"""`palace pal patch`: a patch from a file, from standard input or from flags."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

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
    connected,
    console,
    fail,
    on_draft,
    print_json,
    tell_written,
)
from palace.cli.shown import patch_lines, show_preview
from palace.client import Preview, Remote, RemoteError, Seen, Terms
from palace.json_patch import (
    InvalidJson,
    PatchError,
    apply_patch,
    compile_patch,
    format_pointer,
    parse_pointer,
    read_json,
)


def patch(
    id: PalId,
    file: Annotated[str, typer.Argument(help="A JSON Patch (RFC 6902); - reads standard input.")] = "",
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POINTER=VALUE",
            help="Set a member; VALUE is JSON, or else text: /layers/llm/model=tavus-gpt-oss. Makes parents too.",
        ),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="POINTER", help="Remove a member.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="FILE is a merge patch (RFC 7396).")] = False,
    dry_run: DryRun = False,
    comment: Comment = "",
    if_match: Annotated[
        str, typer.Option(metavar="ETAG", show_default=False, help="Only if the PAL still has this ETag.")
    ] = "",
    force: Force = False,
    rebase: Rebase = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Change a PAL with a JSON Patch: all of it or nothing."""
    if if_match and not if_match.startswith(('"', "W/", "*")):
        if_match = f'"{if_match}"'  # As people copy it, without the quotes that belong to it.
    terms = Terms(comment, if_match, on_draft(force, rebase), merge)
    body = _sent(file, merge) if file else []
    if merge and (set or remove):
        raise fail("--set and --remove make a JSON Patch: they do not go with --merge.")
    if not file and not set and not remove:
        raise fail("There is nothing to send: name a FILE (- for standard input), or use --set or --remove.")
    with connected(url, key) as remote:
        try:
            _patch(remote, id, body, (set or [], remove or []), terms, dry_run=dry_run, as_json=as_json)
        except RemoteError as error:
            if not error.corrected_patch:
                raise
            lines = [str(error), "This patch would be accepted:", *patch_lines(error.corrected_patch)]
            raise error.told("\n".join(lines)) from error


def _patch(
    remote: Remote,
    id: str,
    body: Any,
    flags: tuple[list[str], list[str]],
    terms: Terms,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    seen = remote.pal(id) if dry_run or any(flags) else None
    if seen is not None and any(flags):
        body = [*body, *_operations(seen.document, *flags)]
    if dry_run and seen is not None:
        _show(seen, remote.preview_patch(id, body, terms), as_json)
        return
    written = remote.patch(id, body, terms)
    if as_json:
        print_json(written.document if written.changed else remote.document(id))
    else:
        tell_written(written, "Patched")


def _show(seen: Seen, preview: Preview, as_json: bool) -> None:
    if as_json:
        print_json(asdict(preview))
    elif preview.changed:
        show_preview(console(), seen.document, preview)
    else:
        print("Nothing would change.")


def _sent(file: str, is_merge_patch: bool) -> Any:
    """The JSON in the file or on standard input. Raises typer.Exit for what is no patch."""
    name = "standard input" if file == "-" else file
    try:
        body = read_json(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except InvalidJson as error:
        raise fail(f"{name}: {error.problem}") from error
    except OSError as error:
        raise fail(f"{name} cannot be read: {error.strerror}.") from error
    if is_merge_patch and not isinstance(body, dict):
        raise fail(f"{name}: a merge patch is an object of members; for a JSON Patch leave out --merge.")
    if not is_merge_patch and not isinstance(body, list):
        raise fail(f"{name}: a JSON Patch is an array of operations; for a merge patch add --merge.")
    return body


def _operations(document: Any, settings: Sequence[str], removed: Sequence[str]) -> list[dict[str, Any]]:
    try:
        return operations_for(document, [_pair(setting) for setting in settings], removed)
    except PatchError as error:
        raise fail(str(error)) from error


def _pair(setting: str) -> tuple[str, Any]:
    pointer, mark, text = setting.partition("=")
    if not mark or not pointer.startswith("/"):
        raise fail(f"--set takes POINTER=VALUE, such as /greeting=Hello; it is {setting!r}.")
    try:
        return pointer, read_json(text.encode())
    except InvalidJson:
        return pointer, text


def operations_for(
    document: Any, settings: Sequence[tuple[str, Any]], removed: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Operations that set members one after the other, whether they exist or not, and then remove some.

    Raises PatchError when a pointer is none, or leads through something that has no members.
    """
    operations: list[dict[str, Any]] = []
    for pointer, value in settings:
        operations.append(_setting(document, parse_pointer(pointer), value))
        document = apply_patch(document, compile_patch(operations[-1:])).document
    return [*operations, *({"op": "remove", "path": pointer} for pointer in removed)]


def _setting(document: Any, tokens: tuple[str, ...], value: Any) -> dict[str, Any]:
    level = document
    for depth, token in enumerate(tokens):
        if isinstance(level, dict) and token not in level:
            for name in reversed(tokens[depth + 1 :]):
                value = {name: value}
            return {"op": "add", "path": format_pointer(tokens[: depth + 1]), "value": value}
        if isinstance(level, list) and token == "-":  # noqa: S105 - the end of an array
            return {"op": "add", "path": format_pointer(tokens), "value": value}
        is_index = isinstance(level, list) and token.isdecimal() and int(token) < len(level)
        level = level[int(token)] if is_index else level.get(token) if isinstance(level, dict) else None
    return {"op": "replace", "path": format_pointer(tokens), "value": value}

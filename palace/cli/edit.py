"""`palace pal edit`: a PAL in your editor; what you wrote is never lost, and never sent unseen."""

import os
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from palace.cli.remote import (
    DEFAULT_URL,
    Comment,
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
    tell_written,
)
from palace.cli.sending import preview_patches, send_patches
from palace.cli.shown import show_preview
from palace.client import Remote, RemoteError, Seen, Terms
from palace.shown import MASK
from palace.yaml_text import InvalidYaml, read_yaml, write_yaml

HELP = """\
# {name}
#
# Change what should be different, save, and close the editor: the changes are shown before anything is sent.
# Leave a secret as {mask} to keep it. Take a member out to clear it. Change nothing to change nothing.

"""


def edit(
    id: PalId,
    comment: Comment = "",
    yes: Yes = False,
    force: Force = False,
    rebase: Rebase = False,
    editor: Annotated[
        str, typer.Option(envvar=["EDITOR", "VISUAL"], show_default=False, help="The command that opens a file.")
    ] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Change a PAL in your editor.

    What you changed is shown, and sent when you agree and nobody was faster.
    """
    terms = Terms(comment, on_draft=on_draft(force, rebase))
    command = _words(editor)
    with connected(url, key) as remote:
        _run(_Edit(remote, id, remote.pal(id), terms, command, yes))


@dataclass(frozen=True, slots=True)
class _Edit:
    """One PAL as it was opened, and how it is to be edited and sent."""

    remote: Remote
    id: str
    seen: Seen
    terms: Terms
    editor: list[str]
    is_sure: bool

    def before(self) -> dict[str, Any]:
        """The members that a person may write."""
        from palace.resources.pals import PAL  # The server need not load for other commands.

        return {name: value for name, value in self.seen.document.items() if name not in PAL.read_only}


def _run(edit: _Edit) -> None:
    """Open the editor until the text is sent, unchanged or given up; a changed text that is not sent is kept."""
    text = HELP.format(name=name_of(edit.seen.document), mask=MASK) + write_yaml(edit.before())
    handle, name = tempfile.mkstemp(prefix=f"palace-{re.sub(r'[^A-Za-z0-9]', '_', edit.id)[:40]}-", suffix=".yaml")
    path = Path(name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    is_settled = False
    try:
        while not is_settled:
            is_settled = _round(edit, path)
    finally:
        if is_settled or (path.exists() and path.read_bytes() == text.encode()):
            path.unlink()
        else:
            typer.echo(f"Your text is in {path}", err=True)


def _round(edit: _Edit, path: Path) -> bool:
    """Edit and send once: True when that settles it, False to edit again. Raises typer.Exit and RemoteError."""
    from palace.config_files import member_patches

    _open(edit.editor, path)
    try:
        patches = member_patches(edit.before(), read_yaml(path.read_text(encoding="utf-8")))
        previews = preview_patches(edit.remote, edit.id, edit.seen, patches, edit.terms)
    except (InvalidYaml, UnicodeDecodeError, RemoteError) as error:
        typer.echo(f"palace: {error}", err=True)
        if edit.is_sure or not is_confirmed("Edit again?", default=True):
            raise fail("Nothing was sent.") from error
        return False
    if not any(preview.changed for preview in previews):
        print("Nothing changed.")
        return True
    for preview in previews:
        show_preview(console(), edit.seen.document, preview)
    answer = "y" if edit.is_sure else _choice(f"Send this to {name_of(edit.seen.document)}?")
    if answer == "n":
        raise fail("Nothing was sent.")
    if answer == "y":
        tell_written(send_patches(edit.remote, edit.id, edit.seen.etag, patches, edit.terms), "Changed")
    return answer == "y"


def _words(editor: str) -> list[str]:
    try:
        words = shlex.split(editor)
    except ValueError as error:
        raise fail(f"EDITOR is no command: {editor!r} has an open quote.") from error
    if not words:
        raise fail("There is no editor: set EDITOR to the command that opens a file, such as nano.")
    return words


def _open(editor: list[str], path: Path) -> None:
    try:
        done = subprocess.run([*editor, str(path)], check=False)
    except OSError as error:
        raise fail(
            f"The editor {editor[0]!r} cannot be started: {error.strerror}. Set EDITOR to another one."
        ) from error
    if done.returncode != 0:
        raise fail(f"The editor {editor[0]!r} ended with {done.returncode}. Nothing was sent.")


def _choice(question: str) -> str:
    """`y`, `n` or `e`; no answer is no."""
    try:
        answer: str = typer.prompt(f"{question} (y)es, (n)o, (e)dit again", default="n", show_default=False, err=True)
    except typer.Abort:
        typer.echo("", err=True)
        return "n"
    first = answer.strip().lower()[:1]
    return first if first in {"y", "e"} else "n"

"""`palace apply`: what the saved plan says, exactly that, guarded with what the plan saw."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from palace.app import environment
from palace.cli.folder import PLAN, PalFile, UnusableFile, digests, read_folder, read_plan, write_plan, write_text
from palace.cli.pull import Folder
from palace.cli.remote import DEFAULT_URL, Comment, Key, Url, connected, fail
from palace.cli.sending import send_patches
from palace.client import Remote, RemoteError, Terms, normal_url
from palace.config_files import MissingVariables, Plan, PlanEntry, StalePlan, check_plan, digest, resolved
from palace.yaml_text import with_id


def apply(
    folder: Folder,
    saved: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help=f"The plan, if it is not DIR/{PLAN}.")
    ] = None,
    comment: Comment = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Do what the saved plan says: exactly that, or nothing.

    Every change is guarded with what `palace plan` saw. The first PAL that cannot be changed ends it, and you are told
    which ones were changed before.
    """
    source = saved or folder / PLAN
    try:
        with connected(url, key) as remote:
            files = read_folder(folder)
            plan = read_plan(source)
            check_plan(plan, normal_url(url), digests(files))
            bodies = resolved([entry.patches or entry.create for entry in plan.entries], environment())
            _carry_out(_Work(remote, folder, source, comment), plan, files, bodies)
    except StalePlan as error:
        raise fail(f"{error} Make a plan with: palace plan {folder}") from error
    except (UnusableFile, MissingVariables) as error:
        raise fail(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Work:
    """Where a plan is carried out, and from where."""

    remote: Remote
    folder: Path
    source: Path
    comment: str


def _carry_out(work: _Work, plan: Plan, files: list[PalFile], bodies: list[Any]) -> None:
    """One entry after the other; each one that is done leaves the plan, so that the rest can be applied later."""
    texts = {file.name: file.text for file in files}
    entries = plan.entries
    for index, (entry, body) in enumerate(zip(entries, bodies, strict=True)):
        terms = Terms(work.comment, on_draft=plan.on_draft)
        try:
            if entry.pal_id is None:
                terms = replace(terms, idempotency_key=plan.idempotency_key(entry))
                texts[entry.file] = _create(work, entry, texts[entry.file], body, terms)
            else:
                _change(work.remote, entry, entry.pal_id, body, terms)
        except RemoteError as error:
            raise fail(_how_far(work.folder, entries, index, error)) from error
        plan = plan.without(entry, {name: digest(text) for name, text in texts.items()})
        write_plan(work.source, plan)
    work.source.unlink(missing_ok=True)
    if not entries:
        print("Nothing to apply: when the plan was made, everything was as it should be.")


def _create(work: _Work, entry: PlanEntry, text: str, members: Any, terms: Terms) -> str:
    """Make the PAL and write its id into the file; the file's new text."""
    id: str = work.remote.create(members, terms).document["pal_id"]
    text = with_id(text, id)
    try:
        write_text(work.folder / entry.file, text)
    except UnusableFile as error:
        raise UnusableFile(f"{error} The PAL {id} was made: add `pal_id: {id}` to the file yourself.") from error
    print(f"{entry.file}: made {entry.name} ({id}), and wrote its id into the file.")
    return text


def _change(remote: Remote, entry: PlanEntry, id: str, patches: Any, terms: Terms) -> None:
    written = send_patches(remote, id, entry.etag, patches, terms)
    number = f": revision {written.revision}" if written.changed and written.revision is not None else ""
    print(f"{entry.file}: {'changed' if written.changed else 'nothing changed in'} {entry.name}{number}.")


def _how_far(folder: Path, entries: list[PlanEntry], index: int, error: RemoteError) -> str:
    done = [entry.file for entry in entries[:index]]
    rest = [entry.file for entry in entries[index:]]
    return (
        f"{entries[index].file}: {error}\n"
        f"Applied: {', '.join(done) or 'none'}. Not applied: {', '.join(rest)}.\n"
        f"Look again with: palace plan {folder}"
    )

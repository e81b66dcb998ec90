"""`palace pull`: PALs as YAML files, made or brought up to date."""

from pathlib import Path
from typing import Annotated, Any

import typer

from palace.cli.folder import PalFile, UnusableFile, read_folder, write_text
from palace.cli.remote import DEFAULT_URL, Key, Url, connected, fail
from palace.client import Remote
from palace.config_files import escaped, file_name, members_for_file, refreshed
from palace.yaml_text import write_yaml

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the YAML files.", show_default=False)]


def pull(
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="These PALs; else all of yours.")] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Write all set members, also into files that declare fewer.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write PALs into YAML files, one for each.

    A file that is there keeps its name, and only the members that it declares are brought up to date; a file that is up
    to date is left as it is. Comments in a file that is written anew are lost. A secret is never written: its place
    takes a reference such as ${env:NIGHT_DESK_LLM_API_KEY}.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with connected(url, key) as remote:
            files = read_folder(folder)
            documents = _documents(remote, ids or [])
        _pull(folder, files, documents, write_all=all)
    except UnusableFile as error:
        raise fail(str(error)) from error
    except OSError as error:
        raise fail(f"{folder} cannot be used: {error.strerror}.") from error


def _documents(remote: Remote, ids: list[str]) -> list[dict[str, Any]]:
    return [remote.document(id) for id in ids] if ids else remote.pals()


def _pull(folder: Path, files: list[PalFile], documents: list[dict[str, Any]], *, write_all: bool) -> None:
    known = {file.pal_id: file for file in files if file.pal_id is not None}
    for document in documents:
        current = escaped(document)
        file = known.get(document["pal_id"])
        members = members_for_file(current)
        if file is None:
            name = file_name(document)
            if (folder / name).exists():
                raise UnusableFile(f"{folder / name} is there already, but does not declare {document['pal_id']}.")
            write_text(folder / name, write_yaml(members))
            print(f"{name}: made.")
            continue
        up_to_date = {"pal_id": file.pal_id, **refreshed(file.members, current)}
        if write_all:
            up_to_date = _with_all(members, up_to_date)
        if up_to_date == {"pal_id": file.pal_id, **file.members}:
            print(f"{file.name}: up to date.")
        else:
            write_text(folder / file.name, write_yaml(up_to_date))
            print(f"{file.name}: brought up to date.")


def _with_all(members: Any, declared: Any) -> Any:
    """All members, with the declared ones as the file has them."""
    if isinstance(members, dict) and isinstance(declared, dict):
        return {name: _with_all(members.get(name), value) for name, value in declared.items()} | {
            name: value for name, value in members.items() if name not in declared
        }
    return declared

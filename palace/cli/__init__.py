"""The command `palace`: one file for each group of commands, which is loaded when it is needed."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from palace import __version__

PLACES = {
    "serve": "serve:serve_command",
    "keys": "keys:keys",
    "doctor": "doctor:doctor_command",
    "pal": "pal:pal",
    "chat": "chat:chat",
    "rehearse": "rehearse:rehearse",
    "pull": "pull:pull",
    "plan": "plan:plan",
    "apply": "apply:apply",
    "audit": "audit:audit",
    "backup": "backup:backup_command",
    "restore": "backup:restore_command",
    "export": "transfer:export_command",
    "import": "transfer:import_command",
    "migrate": "migrate:schema",
}
"""Where each command or group of commands is, in the order of the help: serving, PALs, the data."""
LOOKS: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None}  # The boxes of rich cut off names of flags.


class _Commands(Mapping[str, Any]):
    """All commands by their names. One is loaded when it is asked for: most need little of what the server needs."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        self._own = own

    def __iter__(self) -> Iterator[str]:
        yield from PLACES
        yield from self._own

    def __len__(self) -> int:
        return len(PLACES) + len(self._own)

    def __getitem__(self, name: str) -> Any:
        return _loaded(name) if name in PLACES else self._own[name]


@cache
def _loaded(name: str) -> Any:
    place, _, attribute = PLACES[name].partition(":")
    module = import_module(f"palace.cli.{place}")
    found = getattr(module, attribute)
    holder = typer.Typer(**LOOKS)
    holder.callback()(main)  # With it, what is held is a group however many commands it has.
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name, cls=getattr(module, "COMMAND_CLASS", TyperCommand))(found)
    return typer.main.get_group(holder).commands[name]


class _Group(TyperGroup):
    """The whole command line."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(self.commands)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in our order."""
        del ctx
        return list(self.commands)


app = typer.Typer(
    name="palace",
    cls=_Group,
    help="An open, self-hosted server for the Tavus Developer API: the home of PALs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    **LOOKS,
)


@app.callback()
def palace() -> None:
    """An open, self-hosted server for the Tavus Developer API: the home of PALs."""


@app.command()
def version() -> None:
    """Print the version of Palace."""
    print(__version__)


def main() -> None:
    """Run the command line."""
    app()

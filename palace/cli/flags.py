"""Flags made from the list of settings, so that each is written down once."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
from typer.core import TyperCommand

from palace.settings import GROUPS, PREFIX, Settings


class GroupedCommand(TyperCommand):
    """A command whose help shows its flags under the headings of the settings, after those of its own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the flags."""
        heading = "Options"
        rows: dict[str, list[tuple[str, str]]] = {heading: []}
        for parameter in self.get_params(ctx):
            heading = GROUPS.get(parameter.name or "", "Options" if parameter.name == "help" else heading)
            if (row := parameter.get_help_record(ctx)) is not None:
                rows.setdefault(heading, []).append(row)
        for heading, found in rows.items():
            with formatter.section(heading):
                formatter.write_dl(found)


def with_flags(names: Iterable[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the flags of these settings; it receives the given ones in the dict `flags`."""
    chosen = set(names)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "flags"]
        flags = [_flag(knob) for knob in fields(Settings) if knob.name in chosen]

        def run(**given: Any) -> None:
            settings = {name: given.pop(name) for name in chosen}
            command(**given, flags=settings)

        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        return run

    return decorate


def _flag(knob: Any) -> inspect.Parameter:
    kind = knob.type if knob.type in (int, bool, Path) or get_origin(knob.type) else str
    default = f"{knob.default}" if knob.default not in ("", None) else "none"
    sentence = f"{knob.metadata['sentence']} [{PREFIX}{knob.name.upper()}; default: {default}]"
    option = typer.Option(help=sentence, show_default=False)
    return inspect.Parameter(
        knob.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )

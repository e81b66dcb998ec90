"""Flags made from the list of settings, so that each is written down once."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from palace.settings import PREFIX, Settings


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

"""`palace serve`: run the server."""

import os
import shlex
import signal
import threading
from dataclasses import fields
from typing import Annotated, Any

import typer

from palace.accounts import RevokedKey
from palace.app import Greeting, environment, serve, settings_from
from palace.cli.flags import GroupedCommand, with_flags
from palace.folder import FIRST_KEY, FolderInUse
from palace.seeding import InvalidFaults, InvalidSeed
from palace.serving import CannotListen
from palace.settings import InvalidSetting, Settings
from palace.storage import StorageFailure
from palace.storage.migrate import NewerSchema, OlderSchema
from palace.vault import VaultError
from palace.workers import WorkersFailed

ALL_FLAGS = [knob.name for knob in fields(Settings) if knob.metadata["is_flag"]]
PROBLEMS = (
    InvalidSetting,
    InvalidSeed,
    InvalidFaults,
    RevokedKey,
    StorageFailure,
    NewerSchema,
    OlderSchema,
    VaultError,
    WorkersFailed,
)
ShowKey = Annotated[
    bool, typer.Option("--show-key", help="Print the first API key at every start, not only when it is made.")
]
StopWithStdin = Annotated[
    bool,
    typer.Option(
        "--stop-with-stdin", help="Stop when standard input ends: when whoever started the server is gone, too."
    ),
]


COMMAND_CLASS = GroupedCommand


@with_flags(ALL_FLAGS)
def serve_command(flags: dict[str, Any], show_key: ShowKey = False, stop_with_stdin: StopWithStdin = False) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM)."""
    if stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        settings = settings_from(flags)
        serve(settings, lambda greeting: print(_greeting_text(greeting, settings, show_key), flush=True))
    except FolderInUse as error:
        hint = "Servers that share a database need folders of their own, too: --data."
        raise typer.Exit(_complain(f"{error} {hint}")) from error
    except PROBLEMS as error:
        raise typer.Exit(_complain(str(error))) from error
    except CannotListen as error:
        raise typer.Exit(_complain(f"{error} Is another server running? Choose another port with --port.")) from error
    except OSError as error:
        raise typer.Exit(_complain(f"The folder {settings.data} cannot be used: {error.strerror}.")) from error


def _stop_with_stdin() -> None:
    while os.read(0, 1024):
        """Whatever is written there means nothing."""
    os.kill(os.getpid(), signal.SIGTERM)


def _complain(problem: str) -> int:
    typer.echo(f"palace: {problem}", err=True)
    return 1


def _greeting_text(greeting: Greeting, settings: Settings, show_key: bool) -> str:
    key, in_a_shell = _key_texts(greeting, settings, show_key)
    lines = [
        "",
        f"  Palace is ready:    {greeting.url}",
        f"  API key:            {key}",
        f"  API reference:      {greeting.url}/docs",
        *(["  Everything is in memory, and gone when the server stops."] if settings.ephemeral else []),
        "",
        "  For clients of the Tavus API:",
        f"    export TAVUS_PUBLIC_API_BASE_URL={greeting.url}",
        f"    export TAVUS_API_KEY={in_a_shell}",
        "",
    ]
    return "\n".join(lines)


def _key_texts(greeting: Greeting, settings: Settings, show_key: bool) -> tuple[str, str]:
    """The API key, or where it is: for people, and for their shell."""
    if greeting.api_key and (show_key or greeting.key_is_new):
        return greeting.api_key, greeting.api_key
    if settings.api_key and environment().get("PALACE_API_KEY") == settings.api_key:
        return "the value of PALACE_API_KEY", '"$PALACE_API_KEY"'
    if settings.api_key:
        return "the value of --api-key", "…"
    if greeting.api_key:
        path = settings.data / FIRST_KEY
        return f"in {path}", f'"$(cat {shlex.quote(str(path))})"'
    return "one that you noted, or a new one from `palace keys create`", "…"

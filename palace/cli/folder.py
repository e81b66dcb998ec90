"""A folder of PALs as YAML files, and the plan beside them: reading and writing, nothing else."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from palace.config_files import Members, Plan, StalePlan, declared_members, digest, dump_plan, load_plan
from palace.vocabulary import AmbiguousAlias
from palace.yaml_text import InvalidYaml, read_yaml

PLAN = ".palace-plan.json"
NEW_FILE = 0o666
"""Before the person's umask takes something away."""

SUFFIXES = (".yaml", ".yml")


class UnusableFile(Exception):
    """A file or folder cannot be used; `str()` names it and says why."""


@dataclass(frozen=True, slots=True)
class PalFile:
    """One file: its text, and what it declares."""

    name: str
    text: str
    pal_id: str | None
    members: Members


def read_folder(folder: Path) -> list[PalFile]:
    """Every `*.yaml` and `*.yml` directly in the folder, by name. Raises UnusableFile."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
        files = [_read(path) for path in paths if not path.name.startswith(".")]
    except OSError as error:
        raise UnusableFile(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    owners: dict[str, str] = {}
    for file in files:
        if file.pal_id is not None and (other := owners.setdefault(file.pal_id, file.name)) != file.name:
            raise UnusableFile(f"{other} and {file.name} both declare the PAL {file.pal_id}: keep one of them.")
    return files


def _read(path: Path) -> PalFile:
    try:
        text = path.read_text(encoding="utf-8")
        pal_id, members = declared_members(read_yaml(text))
    except (InvalidYaml, UnicodeDecodeError, AmbiguousAlias, ValueError) as error:
        raise UnusableFile(f"{path}: {error}.") from error
    return PalFile(path.name, text, pal_id, members)


def digests(files: list[PalFile]) -> dict[str, str]:
    """The digest of each file's text, by name."""
    return {file.name: digest(file.text) for file in files}


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; it keeps its mode, and a link leads where it led. Raises UnusableFile."""
    target = path.resolve()
    _write(target, text.encode("utf-8"), stat.S_IMODE(target.stat().st_mode) if target.exists() else NEW_FILE)


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan, readable by its owner only. Raises UnusableFile."""
    _write(path.resolve(), dump_plan(plan), 0o600)


def read_plan(path: Path) -> Plan:
    """The saved plan. Raises StalePlan when there is none, UnusableFile when it cannot be read."""
    try:
        return load_plan(path.read_bytes())
    except FileNotFoundError as error:
        raise StalePlan(f"There is no plan in {path}.") from error
    except OSError as error:
        raise UnusableFile(f"{path} cannot be read: {error.strerror}.") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise UnusableFile(f"{path} cannot be written: {error.strerror}.") from error

"""The written rules about structure, as tests: who may import whom, and how long things may be."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60

LAYERS: list[list[str]] = [
    [
        "palace.vocabulary",
        "palace.shown",
        "palace.clock",
        "palace.ids",
        "palace.logs",
        "palace.files",
        "palace.metrics",
        "palace.json_patch",
    ],
    ["palace.addresses", "palace.lookups", "palace.pictures", "palace.conversation", "palace.yaml_text"],
    ["palace.call", "palace.errors", "palace.keys", "palace.vault", "palace.audit"],
    [
        "palace.settings",
        "palace.etags",
        "palace.faults",
        "palace.fetching",
        "palace.rates",
        "palace.tracing",
        "palace.unavailable",
        "palace.changes",
        "palace.workers",
    ],
    ["palace.storage", "palace.skills", "palace.engines"],
    ["palace.resource"],
    [
        "palace.validation",
        "palace.masks",
        "palace.accounts",
        "palace.sealed",
        "palace.folder",
        "palace.forgetting",
        "palace.schemas",
    ],
    ["palace.starting_over", "palace.audit_log", "palace.tool_delivery", "palace.webhooks", "palace.opening"],
    ["palace.transfer"],
    ["palace.judging", "palace.links", "palace.revisions", "palace.rehearsal"],
    ["palace.mending"],
    ["palace.verbs"],
    ["palace.talking"],
    ["palace.resources"],
    ["palace.config_files", "palace.client", "palace.testing", "palace.jobs"],
    ["palace.seeding"],
    ["palace.api", "palace.serving"],
    ["palace.app"],
    ["palace.rotation", "palace.backup", "palace.doctor"],
    ["palace.cli"],
    ["palace.__main__"],
]
"""From the ground up: a module imports from the layers below its own, and within its own package."""

SOURCES = sorted((ROOT / "palace").rglob("*.py"))
OWN_CODE = [
    *SOURCES,
    *(path for part in ("benchmarks", "clients", "tests") for path in sorted((ROOT / part).rglob("*.py"))),
]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def place(module: str) -> tuple[int, str] | None:
    for height, layer in enumerate(LAYERS):
        for package in layer:
            if module == package or module.startswith(package + "."):
                return height, package
    return None


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "palace"}
    return {name for name in found if name.startswith("palace.")}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_module_imports_only_from_layers_below_its_own(path: Path) -> None:
    own = place(module_name(path))
    if module_name(path) == "palace":
        assert imports(path) == set()
        return
    assert own is not None, f"{module_name(path)} has no place in LAYERS"
    for imported in imports(path):
        if imported == "palace.__version__":
            continue
        theirs = place(imported)
        assert theirs is not None, f"{imported} has no place in LAYERS"
        assert theirs[1] == own[1] or theirs[0] < own[0], f"{module_name(path)} must not import {imported}"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name == "json_patch"], ids=module_name)
def test_the_json_patch_engine_depends_on_nothing_else_of_ours(path: Path) -> None:
    assert {name for name in imports(path) if not name.startswith("palace.json_patch")} == set()


CONVERSATION = [path for path in SOURCES if path.parent.name == "conversation"]
OUTSIDE = {"asyncio", "time", "datetime", "random", "secrets", "uuid", "socket", "os", "threading", "httpx", "sqlite3"}


@pytest.mark.parametrize("path", CONVERSATION, ids=module_name)
def test_the_brain_of_a_conversation_knows_nothing_of_the_world_outside(path: Path) -> None:
    assert {name for name in imports(path) if not name.startswith("palace.conversation")} == set()
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in modules} & OUTSIDE == set()
    assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in nodes)


@pytest.mark.parametrize("path", OWN_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_within_their_budgets(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} is too long"


def migration_numbers(database: str) -> list[int]:
    folder = ROOT / "palace/storage/migrations" / database
    return sorted(int(path.name.split("_")[0]) for path in folder.glob("*.sql"))


def test_every_migration_has_a_number_of_its_own_and_both_databases_come_to_the_same() -> None:
    sqlite, postgres = migration_numbers("sqlite"), migration_numbers("postgres")
    assert sqlite == list(range(1, len(sqlite) + 1))
    assert postgres == sqlite[-len(postgres) :], "PostgreSQL began with a later schema, and goes on in step"


def test_the_page_on_the_layout_names_every_part_from_the_top_down() -> None:
    tree = (ROOT / "docs/explanation/architecture.md").read_text().split("```")[1]
    parts = "\n".join(line for line in tree.splitlines() if re.match(r"  \S", line))
    named = [f"palace.{name}" for name in re.findall(r"(\w+)(?:\.py|/)(?!\S)", parts)]
    assert sorted(named) == sorted(package for layer in LAYERS for package in layer)
    heights = [found[0] for name in named if (found := place(name))]
    assert heights == sorted(heights, reverse=True)
    files = {path.name for path in (ROOT / "palace").rglob("*")}
    assert set(re.findall(r"\w+\.(?:py|sql)\b", tree)) <= files

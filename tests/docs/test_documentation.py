"""The documentation is executed: every shell block of the README and the guides runs, and prints what the page says."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs.generate import FOLDER, PAGES
from palace import errors
from palace.errors import ClientError
from tests.serving import KEY, start_palace

ROOT = Path(__file__).parents[2]
EXECUTED = [ROOT / "README.md", *sorted((ROOT / "docs/howto").glob("*.md"))]
ALL_PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
MARK = "=== the end of a block ==="
PLACE_OF_CODE = {"Detail": 0, "Problem": 1}
"""Which argument is the code."""
WITH_CODES_OF_THEIR_OWN = {
    errors.BadRequest,
    errors.InvalidDocument,
    errors.MalformedJson,
    errors.MalformedPatch,
    errors.PatchDoesNotFit,
    errors.PreconditionFailed,
}
"""Errors whose `details` always come with codes of their own."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str | None]]:
    """Each `sh` block with the `text` block that follows it, if one does."""
    fences = [token for token in MarkdownIt().parse(page.read_text()) if token.type == "fence"]
    found: list[tuple[str, str | None]] = []
    for before, fence in zip([None, *fences], fences, strict=False):
        if fence.info == "sh":
            found.append((fence.content, None))
        elif fence.info == "text" and before is not None and before.info == "sh":
            found[-1] = (found[-1][0], fence.content)
    return found


def as_pattern(expected: str) -> str:
    """`…` on a page stands for anything."""
    return ".*".join(re.escape(part) for part in expected.strip().split("…"))


@pytest.mark.parametrize("page", EXECUTED, ids=name)
def test_every_shell_block_of_a_page_prints_what_the_page_says(page, tmp_path):
    scripts = blocks(page)
    assert scripts, "a guide without a block that runs shows nothing"
    with start_palace(tmp_path / "data", PALACE_LOG_REQUESTS="false") as palace:
        environment = os.environ | {
            "TAVUS_PUBLIC_API_BASE_URL": palace.url,
            "TAVUS_API_KEY": KEY,
            "PALACE_DATA": str(palace.data),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        text = "\n".join(f"{script}\nprintf '\\n{MARK}\\n'" for script, _ in scripts)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"\n{MARK}\n")
    for (script, expected), output in zip(scripts, printed, strict=False):
        if expected is not None:
            assert re.fullmatch(as_pattern(expected), output.strip(), re.DOTALL), f"{script}\nprinted\n{output}"


@pytest.mark.parametrize("path", sorted(PAGES))
def test_generated_pages_are_up_to_date(path):
    assert (FOLDER / path).read_text() == PAGES[path](), "run `make docs`"


@pytest.mark.parametrize("page", ALL_PAGES, ids=name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_bare_make_lists_every_target_with_a_sentence():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert re.search(rf"make {target} +\S.*\.$", listed, re.MULTILINE), target


def codes() -> set[str]:
    """Every code that a `Detail` or a `Problem` of the source is given, and those of the errors that have none."""
    found = set()
    for path in (ROOT / "palace").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE_OF_CODE:
                arguments = node.args[PLACE_OF_CODE[node.func.id] :]
                if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
                    found.add(arguments[0].value)
    return found | {kind.code for kind in kinds_of(ClientError) if kind not in WITH_CODES_OF_THEIR_OWN}


def kinds_of(kind: type[ClientError]) -> list[type[ClientError]]:
    return [below for direct in kind.__subclasses__() for below in (direct, *kinds_of(direct))]


def test_every_code_of_an_error_is_explained():
    pages = "".join((ROOT / "docs/reference" / page).read_text() for page in ("errors.md", "json_patch.md"))
    assert {"mask", "changed_since", "invalid_id", "invalid_query"} <= codes()
    assert sorted(code for code in codes() if f"`{code}`" not in pages) == []

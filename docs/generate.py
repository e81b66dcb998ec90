"""Writes the generated pages of the documentation: `python -m docs.generate` (or `make docs`)."""

from dataclasses import fields
from pathlib import Path

from benchmarks.page import FILES as PERFORMANCE
from docs.compatibility import compatibility_page
from palace.settings import GROUPS, PREFIX, Settings

FOLDER = Path(__file__).parent


def settings_page() -> str:
    """The tables of all settings, one for each group."""
    rows = []
    for knob in fields(Settings):
        if knob.name in GROUPS:
            head = ["| flag | variable | default | what it does |", "|---|---|---|---|"]
            rows += ["", f"## {GROUPS[knob.name]}", "", *head]
        flag = f"`--{knob.name.replace('_', '-')}`" if knob.metadata["is_flag"] else "none"
        default = f"`{knob.default}`" if knob.default not in ("", None) else "none"
        rows.append(f"| {flag} | `{PREFIX}{knob.name.upper()}` | {default} | {knob.metadata['sentence']} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "Every setting is a flag of `palace serve` and an environment variable; a flag wins over the variable, and",
            "an empty variable counts as none. A true/false setting is a pair of flags such as `--log-requests` and",
            "`--no-log-requests`. The master key and the token of the metrics are no flags, because every user of a",
            "machine sees the flags of its processes. This page is generated from `palace/settings.py`.",
            *rows,
            "",
        ]
    )


PAGES = {
    "reference/compatibility.md": compatibility_page,
    "reference/settings.md": settings_page,
    **{f"explanation/{path}": make for path, make in PERFORMANCE.items()},
}
"""Path below this folder, and what makes its text."""


def main() -> None:
    """Write every generated page."""
    for path, make in PAGES.items():
        (FOLDER / path).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Named SQL: a `.sql` file is a list of `-- name: …` paragraphs, each with a comment that says what it does."""

from importlib.resources import files


def load_queries(file_name: str) -> dict[str, str]:
    """The statements of one file of this package by their names, without comments and semicolons."""
    queries: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in files(__package__).joinpath(file_name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name: "):
            lines = queries.setdefault(line.removeprefix("-- name: ").strip(), [])
        elif line and not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(text).rstrip(";") for name, text in queries.items()}

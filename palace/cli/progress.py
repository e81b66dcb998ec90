"""How far long work is: a bar on standard error, if somebody is watching."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Makes a bar with a title, which appears when it is told how much is done, and of how much."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:

        def begin(title: str) -> Callable[[int, int], None]:
            shown: list[TaskID] = []

            def tell(done: int, total: int) -> None:
                if not shown:
                    shown.append(bars.add_task(title))
                bars.update(shown[0], completed=done, total=total)

            return tell

        yield begin

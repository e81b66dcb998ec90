"""Small plots as SVG text: lines over a logarithmic or even axis, and bars. Readable on light and on dark pages.

An image on a page cannot see the page's colours, so each plot brings its own background, which follows the reader's
setting. Everything is labelled in the plot itself; no script, no font, nothing to load.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 56, 52
LEGEND_LINE = 18
COLOURS = (
    ("#1b6ac9", "#6db1ff"),
    ("#c2410c", "#ff9a5c"),
    ("#15803d", "#5fd38a"),
    ("#7e22ce", "#cf9bff"),
    ("#0e7490", "#5cd6ee"),
    ("#a16207", "#e8c04a"),
    ("#be185d", "#ff8ac0"),
    ("#52525b", "#b4b4bd"),
    ("#4d7c0f", "#b0dc5a"),
    ("#9f1239", "#ff8a9b"),
    ("#1e3a8a", "#9db7ff"),
    ("#78350f", "#d9a27a"),
)
"""For each line its colour on light and on dark; neighbours differ in brightness too."""


@dataclass(frozen=True)
class Line:
    """One line of a plot: its name and its points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """An axis with its label and unit; `marks` are where it is labelled, or None for round numbers."""

    label: str
    is_logarithmic: bool = False
    marks: Sequence[float] | None = None
    names: Sequence[str] | None = None
    """What stands at the marks instead of their numbers."""

    def places(self, values: Sequence[float]) -> list[float]:
        """Where this axis is marked so that all the values fit between the first and the last mark."""
        if self.marks is not None:
            return list(self.marks)
        return _decades(values) if self.is_logarithmic else _round_numbers(max(values))

    def scale(self, marks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
        """From a value to a place between `start` and `end`."""
        bend = math.log10 if self.is_logarithmic else float
        low, high = bend(marks[0]), bend(marks[-1])
        span = (high - low) or 1
        return lambda value: start + (bend(value) - low) / span * (end - start)


def line_plot(title: str, horizontal: Axis, vertical: Axis, lines: Sequence[Line]) -> str:
    """A plot of some lines, each with a dot at each point and its name and colour in the legend below."""
    if not any(line.points for line in lines):
        return _empty(title)
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    columns, rows = horizontal.places(xs), vertical.places(ys)
    across = horizontal.scale(columns, LEFT, WIDTH - RIGHT)
    up = vertical.scale(rows, HEIGHT - BOTTOM, TOP)
    parts = [*_grid(horizontal, vertical, columns, rows, across, up)]
    for number, line in enumerate(lines):
        points = [(across(x), up(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{number}" points="{path}"/>')
        parts += [f'<circle class="dot c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return _document(title, parts, [line.name for line in lines], HEIGHT)


def bar_plot(title: str, unit: str, bars: Sequence[tuple[str, Sequence[float]]], parts_of: Sequence[str]) -> str:
    """Horizontal bars, one under the other, each made of the parts that `parts_of` names, with the sum at its end."""
    if not bars:
        return _empty(title)
    height = TOP + 30 * len(bars) + BOTTOM
    marks = _round_numbers(max(sum(values) for _, values in bars))
    start = 260
    across = Axis(unit).scale(marks, start, WIDTH - 70)
    found = []
    for mark in marks:
        found.append(_rule(across(mark), TOP, across(mark), height - BOTTOM))
        found.append(_text(across(mark), height - BOTTOM + 18, _number(mark), "middle"))
    found.append(_text((start + WIDTH - 70) / 2, height - 12, unit, "middle"))
    for number, (name, values) in enumerate(bars):
        top, reached = TOP + 30 * number + 5, 0.0
        found.append(_text(start - 8, top + 14, name, "end"))
        for part, value in enumerate(values):
            x, width = across(reached), across(reached + value) - across(reached)
            found.append(f'<rect class="bar c{part}" x="{x:.1f}" y="{top}" width="{width:.1f}" height="20"/>')
            reached += value
        found.append(_text(across(reached) + 6, top + 14, _number(reached), "start"))
    return _document(title, found, list(parts_of) if len(parts_of) > 1 else [], height)


def _empty(title: str) -> str:
    return _document(title, [_text(16, 60, "This run did not measure it.", "start")], [], 80)


def _grid(
    horizontal: Axis,
    vertical: Axis,
    columns: Sequence[float],
    rows: Sequence[float],
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> list[str]:
    parts = []
    for number, mark in enumerate(columns):
        parts.append(_rule(across(mark), TOP, across(mark), HEIGHT - BOTTOM))
        name = horizontal.names[number] if horizontal.names else _number(mark)
        parts.append(_text(across(mark), HEIGHT - BOTTOM + 18, name, "middle"))
    for mark in rows:
        parts.append(_rule(LEFT, up(mark), WIDTH - RIGHT, up(mark)))
        parts.append(_text(LEFT - 8, up(mark) + 4, _number(mark), "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, horizontal.label, "middle"))
    parts.append(_text(LEFT - 8, TOP - 14, vertical.label, "start"))
    return parts


def _document(title: str, parts: Sequence[str], names: Sequence[str], height: int) -> str:
    """The whole SVG: colours, background, title, the parts, and a legend in two columns."""
    total = height + LEGEND_LINE * -(-len(names) // 2) + (12 if names else 0)
    legend = []
    for number, name in enumerate(names):
        x, y = LEFT + (number % 2) * (WIDTH - LEFT) / 2, height + LEGEND_LINE * (number // 2) + 6
        legend.append(f'<rect class="bar c{number}" x="{x:.1f}" y="{y - 9}" width="12" height="10"/>')
        legend.append(_text(x + 18, y, name, "start"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img">'
    ground = f'<rect class="ground" width="{WIDTH}" height="{total}" rx="6"/>'
    heading = f'<text class="title" x="16" y="26">{escape(title)}</text>'
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", _style(), ground, heading, *parts, *legend, "</svg>", ""]
    )


def _style() -> str:
    light = "".join(f".c{number}{{--c:{colours[0]}}}" for number, colours in enumerate(COLOURS))
    dark = "".join(f".c{number}{{--c:{colours[1]}}}" for number, colours in enumerate(COLOURS))
    return (
        "<style>svg{--ground:#fff;--ink:#1f2328;--rule:#d8dee4;font:12px system-ui,sans-serif}"
        "text{fill:var(--ink)}.title{font-size:15px;font-weight:600}.ground{fill:var(--ground)}"
        ".rule{stroke:var(--rule)}.line{fill:none;stroke:var(--c);stroke-width:2}.dot,.bar{fill:var(--c)}"
        f"{light}@media(prefers-color-scheme:dark){{svg{{--ground:#0d1117;--ink:#e6edf3;--rule:#30363d}}{dark}}}</style>"
    )


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line class="rule" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _number(value: float) -> str:
    """At most three digits, with k and M for thousands and millions."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _decades(values: Sequence[float]) -> list[float]:
    """1, 10, 100 … around the values, and the first step of three where that is close enough."""
    least, most = min(values), max(values)
    steps = [base * 10.0**power for power in range(-4, 10) for base in (1, 3)]
    low = max(step for step in steps if step <= least)
    return [step for step in steps if low <= step < most] + [min(step for step in steps if step >= most)]


def _round_numbers(most: float) -> list[float]:
    """From 0 on in four to eight round steps, the last at or above `most`."""
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(base * power for base in (1, 2, 2.5, 5, 10) if most / (base * power) <= 6)
    return [step * number for number in range(math.ceil(most / step) + 1)]

"""A line chart as SVG: enough to see whether something grows in a straight line. Black on white, one colour a line."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 40, 56
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
TICKS = 5

Points = Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """What is drawn: a title, what the axes show with their units, and lines by name."""

    title: str
    across: str
    up: str
    lines: Mapping[str, Points]


def _step(largest: float) -> float:
    """A round distance of ticks, so that about `TICKS` of them reach the largest value."""
    raw = largest / TICKS
    power = 10.0 ** floor(log10(raw))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= raw)


class _Axis:
    """Values from 0 to the tick above the largest, on a stretch of pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        largest = max(values)
        step = _step(largest)
        count = -int(-largest // step)
        self.ticks = [step * number for number in range(count + 1)]
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """The place of a value."""
        return round(self._begin + (self._end - self._begin) * value / self.ticks[-1], 1)


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(words)}</text>'


def _grid(across: _Axis, up: _Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    drawn = []
    for value in up.ticks:
        y = up.at(value)
        drawn.append(f'<line x1="{LEFT}" y1="{y:g}" x2="{right}" y2="{y:g}" stroke="#ddd"/>')
        drawn.append(_text(LEFT - 8, y + 4, f"{value:,g}", 'text-anchor="end"'))
    drawn += [_text(across.at(value), bottom + 18, f"{value:,.0f}", 'text-anchor="middle"') for value in across.ticks]
    drawn.append(f'<line x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#000"/>')
    return drawn


def svg(chart: Chart) -> str:
    """The chart as a document of its own."""
    points = [point for line in chart.lines.values() for point in line]
    across = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    drawn = _grid(across, up)
    for number, (name, line) in enumerate(chart.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across.at(x), up.at(y)) for x, y in sorted(line)]
        path = " ".join(f"{x:g},{y:g}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.extend(f'<circle cx="{x:g}" cy="{y:g}" r="3" fill="{colour}"/>' for x, y in places)
        drawn.append(_text(LEFT + 12, TOP + 14 + 18 * number, name, f'fill="{colour}"'))
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn += [
        _text(LEFT, TOP - 18, chart.title, 'font-weight="bold"'),
        _text(middle, HEIGHT - 12, chart.across, 'text-anchor="middle"'),
        _text(LEFT, TOP - 4, chart.up, 'fill="#555" text-anchor="start"'),
    ]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *drawn, "</svg>\n"])

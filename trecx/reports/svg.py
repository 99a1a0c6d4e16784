"""Small standalone SVG pictures: no fonts, scripts or files from elsewhere, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

# Okabe and Ito's palette, readable with colour-blind eyes; mid tones, for light and dark grounds.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")

_STYLE = """
svg.trecx { color: #1a1a1a; background: #ffffff; font: 12px sans-serif; }
@media (prefers-color-scheme: dark) { svg.trecx { color: #e8e8e8; background: #1c1c1c; } }
svg.trecx text { fill: currentColor; }
svg.trecx .axis { stroke: currentColor; fill: none; }
svg.trecx .grid { stroke: currentColor; stroke-opacity: 0.15; }
svg.trecx .dash { stroke: currentColor; stroke-opacity: 0.6; stroke-dasharray: 5 4; fill: none; }
"""
_DASHES = ' stroke-dasharray="6 3"'


@dataclass(frozen=True)
class Line:
    """A named polyline. band: (low, high) for each point; marks: points drawn as dots."""

    name: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...] = ()
    marks: tuple[tuple[float, float], ...] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Box:
    """A rectangle in data coordinates. tooltip: on hover; label: written inside where it fits."""

    x0: float
    x1: float
    y0: float
    y1: float
    colour: str
    tooltip: str
    label: str = ""


class Plot:
    """A frame with two linear axes; x to the right, y upwards."""

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_label: str,
        y_label: str,
        size: tuple[int, int] = (720, 420),
    ) -> None:
        self.width, self.height = size
        self.left, self.right, self.top, self.bottom = 70, 16, 14, 46
        self.x_range, self.y_range = _widened(x_range), _widened(y_range)
        self.body: list[str] = []
        self.legend: list[tuple[str, str, bool]] = []
        self._axes(x_label, y_label)

    def x(self, value: float) -> float:
        low, high = self.x_range
        inner = self.width - self.left - self.right
        return round(self.left + (value - low) / (high - low) * inner, 2)

    def y(self, value: float) -> float:
        low, high = self.y_range
        inner = self.height - self.top - self.bottom
        return round(self.height - self.bottom - (value - low) / (high - low) * inner, 2)

    def line(self, line: Line, colour: str) -> None:
        if line.band:
            upper = [(x, h) for (x, _), (_, h) in zip(line.points, line.band, strict=True)]
            lower = [(x, w) for (x, _), (w, _) in zip(line.points, line.band, strict=True)]
            path = self._path([*upper, *reversed(lower)])
            self.body.append(f'<polygon points="{path}" fill="{colour}" fill-opacity="0.13"/>')
        self.body.append(
            f'<polyline points="{self._path(line.points)}" fill="none" stroke="{colour}" '
            f'stroke-width="2"{_DASHES if line.dashed else ""}>'
            f"<title>{escape(line.name)}</title></polyline>"
        )
        for x, y in line.marks:
            self.body.append(
                f'<circle cx="{self.x(x)}" cy="{self.y(y)}" r="4" fill="{colour}">'
                f"<title>{escape(line.name)}: {x:.4g}, {y:.4g}</title></circle>"
            )
        self.key(line.name, colour, line.dashed)

    def key(self, name: str, colour: str, dashed: bool = False) -> None:
        """Add a name to the legend."""
        self.legend.append((name, colour, dashed))

    def box(self, box: Box) -> None:
        x, y = self.x(box.x0), self.y(box.y1)
        width, height = self.x(box.x1) - x, self.y(box.y0) - y
        self.body.append(
            f'<rect x="{x}" y="{y}" width="{width:.2f}" height="{height:.2f}" fill="{box.colour}" '
            f'fill-opacity="0.75" stroke="{box.colour}"><title>{escape(box.tooltip)}</title></rect>'
        )
        if box.label and width > 6.5 * len(box.label) + 6 and height > 14:
            self.body.append(
                f'<text x="{x + width / 2:.2f}" y="{y + height / 2 + 4:.2f}" '
                f'text-anchor="middle">{escape(box.label)}</text>'
            )

    def vertical(self, x: float, label: str = "") -> None:
        at = self.x(x)
        self.body.append(f'<path class="dash" d="M{at} {self.top}V{self.height - self.bottom}"/>')
        if label:
            self.body.append(f'<text x="{at + 4}" y="{self.top + 12}">{escape(label)}</text>')

    def horizontal(self, y: float, label: str = "") -> None:
        at = self.y(y)
        self.body.append(f'<path class="dash" d="M{self.left} {at}H{self.width - self.right}"/>')
        if label:
            self.body.append(
                f'<text x="{self.width - self.right - 4}" y="{at - 5}" '
                f'text-anchor="end">{escape(label)}</text>'
            )

    def svg(self, title: str) -> str:
        """The picture; the legend stands below the frame, in as many rows as it needs."""
        parts, x, y = [], self.left, self.height + 6
        for name, colour, dashed in self.legend:
            width = 30 + 7 * len(name)
            if x > self.left and x + width > self.width:
                x, y = self.left, y + 20
            parts.append(
                f'<path d="M{x} {y + 6}h14" stroke="{colour}" stroke-width="4"'
                f"{_DASHES if dashed else ''}/>"
            )
            parts.append(f'<text x="{x + 18}" y="{y + 10}">{escape(name)}</text>')
            x += width
        height = y + 22 if self.legend else self.height
        return _document(self.width, height, title, [*self.body, *parts])

    def _path(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)

    def _axes(self, x_label: str, y_label: str) -> None:
        base, end = self.height - self.bottom, self.width - self.right
        for value in ticks(*self.x_range):
            at = self.x(value)
            self.body.append(f'<path class="grid" d="M{at} {self.top}V{base}"/>')
            self.body.append(
                f'<text x="{at}" y="{base + 17}" text-anchor="middle">{value:g}</text>'
            )
        for value in ticks(*self.y_range):
            at = self.y(value)
            self.body.append(f'<path class="grid" d="M{self.left} {at}H{end}"/>')
            self.body.append(
                f'<text x="{self.left - 7}" y="{at + 4}" text-anchor="end">{value:,.10g}</text>'
            )
        self.body.append(f'<path class="axis" d="M{self.left} {self.top}V{base}H{end}"/>')
        middle, low = (self.left + end) / 2, self.height - 8
        self.body.append(
            f'<text x="{middle}" y="{low}" text-anchor="middle">{escape(x_label)}</text>'
        )
        centre = (self.top + base) / 2
        self.body.append(
            f'<text x="16" y="{centre}" text-anchor="middle" '
            f'transform="rotate(-90 16 {centre})">{escape(y_label)}</text>'
        )


def bars(rows: list[tuple[str, float, str, str]], title: str, width: int = 720) -> str:
    """Horizontal bars: (label, length >= 0, text after the bar, colour), from top to bottom."""
    longest = max((value for _, value, _, _ in rows), default=0.0) or 1.0
    left = 16 + 7 * max((len(label) for label, _, _, _ in rows), default=0)
    right = 16 + 7 * max((len(text) for _, _, text, _ in rows), default=0)
    inner = max(width - left - right, 100)
    parts = []
    for i, (label, value, text, colour) in enumerate(rows):
        y, length = 8 + 20 * i, value / longest * inner
        parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{left}" y="{y}" width="{length:.2f}" height="15" fill="{colour}"/>'
            f'<text x="{left + length + 6:.2f}" y="{y + 12}">{escape(text)}</text>'
        )
    return _document(left + inner + right, 16 + 20 * len(rows), title, parts)


def ticks(low: float, high: float, about: int = 7) -> list[float]:
    """Round values within low..high, about so many."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _widened(span: tuple[float, float]) -> tuple[float, float]:
    low, high = span
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _document(width: int, height: int, title: str, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg class="trecx" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )

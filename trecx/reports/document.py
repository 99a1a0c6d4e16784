"""A report as a document of plain blocks, which the terminal, Markdown and HTML renderers share."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Rows of ready-made text. numeric: columns that are aligned to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Named values, one a line."""

    rows: tuple[tuple[str, str], ...]
    title: str = ""


@dataclass(frozen=True)
class Note:
    """One paragraph."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A picture as standalone SVG; the terminal and Markdown show the caption only."""

    svg: str
    caption: str


Block = Table | Facts | Note | Figure


@dataclass(frozen=True)
class Document:
    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)


SYNTHETIC = Note("The data is synthetic: its accuracy says nothing about real data.")


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{round(value):,}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction as a percentage; a dash when there is none."""
    return "-" if fraction is None else f"{100 * fraction:.{digits}f} %"


def kib(size: int) -> str:
    """Bytes in KiB with one decimal."""
    return f"{size / 1024:.1f} KiB"

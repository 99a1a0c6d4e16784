"""Documents as text: plain for pipes and files, styled for a terminal, Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from trecx.reports.document import Document, Facts, Figure, Note, Table


def show(document: Document, file: TextIO | None = None) -> None:
    """Print to `file` (standard output): styled when it is a terminal, plain otherwise."""
    file = file or sys.stdout
    if not file.isatty():
        file.write(to_text(document))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, highlight=False)
    for style, line in _lines(document):
        # A row that is wider than the terminal stays one row: folded cells are unreadable.
        console.print(Text(line, style=style), soft_wrap=True)


def to_text(document: Document) -> str:
    """Plain text. Tables are as wide as their content: nothing is cut or wrapped."""
    return "".join(line + "\n" for _, line in _lines(document))


def to_markdown(document: Document, level: int = 1, pictures: Sequence[str] = ()) -> str:
    """GitHub-flavoured Markdown. level: of the title's heading. pictures: where the SVG files of
    the document's figures are, in their order; without them a figure is its caption."""
    parts = ["#" * level + " " + document.title]
    files = iter(pictures)
    for block in document.blocks:
        match block:
            case Table():
                marks = ["---:" if i in block.numeric else "---" for i in range(len(block.columns))]
                rows = [block.columns, marks, *block.rows]
                table = "\n".join("| " + " | ".join(map(_escape, row)) + " |" for row in rows)
                parts += [f"**{block.title}**"] * bool(block.title) + [table]
            case Facts():
                parts += [f"**{block.title}**"] * bool(block.title)
                parts.append("\n".join(f"- {name}: {value}" for name, value in block.rows))
            case Note(text):
                parts.append(text)
            case Figure(_, caption):
                file = next(files, None)
                link = "" if file is None else f"![{caption}]({file})\n\n"
                parts.append(f"{link}*Figure: {caption}*")
    return "\n\n".join(parts) + "\n"


def _lines(document: Document) -> Iterator[tuple[str, str]]:
    """(rich style, line) pairs."""
    yield from _heading(document.title, "=", "bold")
    for block in document.blocks:
        yield "", ""
        match block:
            case Table():
                yield from _heading(block.title, "-", "italic")
                yield from _aligned(block)
            case Facts():
                yield from _heading(block.title, "-", "italic")
                width = max((len(name) for name, _ in block.rows), default=0)
                for name, value in block.rows:
                    yield "", f"{name:<{width}}  {value}".rstrip()
            case Note(text):
                yield "", text
            case Figure(_, caption):
                yield "dim", f"[figure: {caption}]"


def _heading(title: str, underline: str, style: str) -> Iterator[tuple[str, str]]:
    if title:
        yield style, title
        yield "dim", underline * len(title)


def _aligned(table: Table) -> Iterator[tuple[str, str]]:
    rows = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if i in table.numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "" if number else "bold", "  ".join(cells).rstrip()
        if number == 0:
            yield "dim", "  ".join("-" * width for width in widths)


def _escape(cell: str) -> str:
    return cell.replace("|", r"\|")

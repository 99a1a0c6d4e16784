"""Documents as one self-contained HTML page: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape

from trecx.reports.document import Block, Document, Facts, Figure, Note, Table

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
nav ul { padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 0.2rem 0.7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
figcaption, footer { font-size: 13px; opacity: 0.75; }
"""


def to_html(title: str, documents: list[Document], footer: str = "") -> str:
    """One page with a table of contents; `documents` become its sections.

    footer: a line at the end, such as the tool's version and the bundle's hash.
    """
    contents = "".join(
        f'<li><a href="#s{i}">{escape(d.title)}</a></li>' for i, d in enumerate(documents)
    )
    sections = "".join(_section(i, d) for i, d in enumerate(documents))
    ending = f"<footer><p>{escape(footer)}</p></footer>" if footer else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<nav><ul>{contents}</ul></nav>\n{sections}{ending}\n"
        "</body>\n</html>\n"
    )


def _section(number: int, document: Document) -> str:
    body = "".join(_block(block) for block in document.blocks)
    return f'<section id="s{number}">\n<h2>{escape(document.title)}</h2>\n{body}</section>\n'


def _block(block: Block) -> str:
    match block:
        case Table():
            return _heading(block.title) + _table(block)
        case Facts():
            rows = "".join(
                f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
                for name, value in block.rows
            )
            return f'{_heading(block.title)}<div class="wide"><table>{rows}</table></div>\n'
        case Note(text):
            return f"<p>{escape(text)}</p>\n"
        case Figure(svg, caption):
            return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _heading(title: str) -> str:
    return f"<h3>{escape(title)}</h3>\n" if title else ""


def _table(table: Table) -> str:
    def cell(tag: str, column: int, text: str) -> str:
        mark = ' class="n"' if column in table.numeric else ""
        return f"<{tag}{mark}>{escape(text)}</{tag}>"

    def row(cells: tuple[str, ...], tag: str) -> str:
        return "".join(cell(tag, i, text) for i, text in enumerate(cells))

    head = row(table.columns, "th")
    body = "".join(f"<tr>{row(cells, 'td')}</tr>\n" for cells in table.rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )

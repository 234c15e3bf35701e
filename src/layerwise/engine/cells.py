"""A table of text, head first, as lines of a terminal and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Return cells as lines of a terminal, in columns."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def as_html(cells: Sequence[Sequence[str]]) -> str:
    """Return cells as an HTML table, escaped."""
    head, *rows = [[escape(text) for text in row] for row in cells]
    body = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in rows)
    names = "".join(f"<th>{text}</th>" for text in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"

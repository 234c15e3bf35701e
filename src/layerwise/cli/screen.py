"""What commands print: tables and sentences for people, one JSON document for programs.

Answers go to stdout; progress, notes and errors go to stderr. Whatever a user's data, names and messages hold is shown
and never acts: control characters are escaped, and square brackets are no markup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from layerwise.words import visible

UNBOUNDED = 10_000
"""Columns where nobody looks: a table in a pipe or a file is not cut."""

NARROWEST = 18
"""Columns of the screen that a wrapping column of a table gets at least."""

HEAD = "bold"
FAINT = "dim"
GOOD = "green"
BAD = "red"
NAME = "cyan"
UNITS = ("bytes", "KB", "MB", "GB", "TB")


def paper() -> Console:
    """Return the console of what was asked for: stdout."""
    return _console(stderr=False)


def notes() -> Console:
    """Return the console of progress, notes and errors: stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNBOUNDED
    return console


def show(*parts: RenderableType) -> None:
    """Print parts one below the other on stdout; strings are escaped."""
    console = paper()
    with console.capture() as captured:
        for part in parts:
            console.print(words(part) if isinstance(part, str) else part)
    text = captured.get()
    # Rich fills lines up with spaces, which would be noise in a file.
    console.file.write(text if console.is_terminal else "".join(f"{line.rstrip()}\n" for line in text.splitlines()))


def note(text: str, style: str = FAINT) -> None:
    """Say something beside the answer, on stderr."""
    notes().print(words(text, style), soft_wrap=True)


def words(text: object, style: str = "") -> Text:
    """Return any text fit for a terminal: what would act on it is escaped.

    >>> words("a" + chr(27) + "[2J").plain
    'a\\\\x1b[2J'
    """
    return Text(visible(str(text)), style=style)


def line(*parts: str | tuple[str, str]) -> Text:
    """Return one line of texts and (text, style) pairs, escaped."""
    return Text.assemble(*(words(part) if isinstance(part, str) else words(*part) for part in parts))


def columns(
    *heads: str,
    rows: Iterable[Sequence[object]],
    right: Iterable[str] = (),
    wide: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """Return a table without a frame, fit for the screen.

    Args:
        heads: the columns' names. Where nothing stands in a column, it is left out.
        rows: a row's cells in that order; texts are escaped, ``Text`` is taken as it is.
        right: the columns of numbers.
        wide: the columns that give way where the screen is narrow, by wrapping.
        spare: the columns that are left out where the screen is too narrow all the same, the first of them first.
    """
    cells = [[cell if isinstance(cell, Text) else words("" if cell is None else cell) for cell in row] for row in rows]
    widths = {head: max((row[at].cell_len for row in cells), default=0) for at, head in enumerate(heads)}
    widths = {head: max(width, len(head)) for head, width in widths.items() if width}
    least = {head: min(width, NARROWEST) if head in wide else width for head, width in widths.items()}
    for head in spare:
        if sum(least.values()) + 2 * len(least) > paper().width + 2:
            least.pop(head, None)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style=HEAD,
        border_style=FAINT,
    )  # fmt: skip
    for head in least:
        justify: JustifyMethod = "right" if head in right else "left"
        table.add_column(words(head), justify=justify, no_wrap=head not in wide, overflow="fold")
    used = [at for at, head in enumerate(heads) if head in least]
    for row in cells:
        table.add_row(*(row[at] for at in used))
    return table


def folded(parts: Iterable[str], width: int) -> str:
    """Return parts with commas between them in lines of at most ``width`` columns; a part that fits is never broken.

    >>> folded(["out_channels: 32", "kernel_size: 3", "padding: 1"], 30)
    'out_channels: 32,\\nkernel_size: 3, padding: 1'
    """
    *first, last = [visible(part) for part in parts] or [""]
    lines = [""]
    for part in [*(f"{part}," for part in first), last]:
        for piece in [part] if cell_len(part) <= width else part.split():
            longer = f"{lines[-1]} {piece}".strip()
            lines = [*lines[:-1], longer] if cell_len(longer) <= width else [*lines, piece]
    return "\n".join(lines).strip("\n")


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return named facts, one a line; what is None or empty is left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style=FAINT)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            table.add_row(words(name), value if isinstance(value, Text) else words(value))
    return table


def number(value: object) -> str:
    """Return a number as a person reads it.

    >>> number(1797), number(0.0312345), number(None)
    ('1,797', '0.03123', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def size(count: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> size(640), size(48_200)
    ('640 bytes', '48.2 KB')
    """
    power = 0 if count < 1000 else min(int(math.log(count, 1000)), len(UNITS) - 1)
    return f"{count:,} bytes" if not power else f"{count / 1000**power:.1f} {UNITS[power]}"


def moment(created: str) -> str:
    """Return a manifest's time to the minute, in UTC.

    >>> moment("2026-01-31T09:30:12+00:00")
    '2026-01-31 09:30'
    """
    return created[:16].replace("T", " ")


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its word.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def print_json(value: Any) -> None:
    """Print one JSON document on stdout. NaN and infinity, which JSON does not have, are null."""
    paper().file.write(f"{as_json(value)}\n")


def as_json(value: Any) -> str:
    """Return any value of ours as JSON in which every character is one that is seen.

    >>> as_json({"loss": float("nan")})
    '{\\n  "loss": null\\n}'
    """
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(map(_seen, text))


def print_raw(text: str) -> None:
    """Print the text of a file as it is, for another program; its writer has escaped what would act on a terminal."""
    paper().file.write(text if text.endswith("\n") else f"{text}\n")


def _seen(character: str) -> str:
    # JSON escapes C0 itself; C1, bidirectional marks and halves of characters must not reach a terminal either.
    return character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]


def plain(value: Any) -> Any:
    """Return any value of ours as JSON's types: dataclasses and mappings become objects, bytes their length."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({item.name: getattr(value, item.name) for item in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value):,} bytes"
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return [plain(inner) for inner in value] if isinstance(value, Iterable) else str(value)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner on a terminal's stderr while something takes its time; nothing where there is no terminal."""
    console = notes()
    if not console.is_terminal:
        yield
        return
    with console.status(words(what, FAINT)):
        yield


def duration(seconds: float) -> str:
    """Return a time span as a person reads it.

    >>> duration(0.25), duration(12.34), duration(754)
    ('0.25 s', '12.3 s', '12.6 min')
    """
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

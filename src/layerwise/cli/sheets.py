"""The files that looking writes: ``--png``, ``--html``, ``--csv``. Each is held to its ending before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import screen
from layerwise.errors import InvalidFile
from layerwise.words import shorten

if TYPE_CHECKING:
    from layerwise.pictures import Shown

Png = Annotated[Path | None, typer.Option("--png", metavar="FILE.png", help="Write the pictures as one image.")]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE.html", help="Write a page with the pictures; nothing in it comes from afar."),
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE.csv", help="Write the values as a table.")]
Pictures = Annotated[
    bool | None,
    typer.Option(
        "--pictures/--no-pictures", metavar="", help="Draw in the terminal, or not; drawn where it is a terminal."
    ),
]

ENDINGS = {"--png": (".png",), "--html": (".html", ".htm"), "--csv": (".csv",)}


@dataclass(frozen=True)
class Sheets:
    """Where pictures and values go beside the screen.

    Example:
        >>> Sheets.of(csv=Path("edges.txt"))
        Traceback (most recent call last):
            ...
        layerwise.errors.InvalidFile: --csv edges.txt: the ending '.txt' does not fit; expected .csv
    """

    png: Path | None = None
    html: Path | None = None
    csv: Path | None = None

    @classmethod
    def of(cls, *, png: Path | None = None, html: Path | None = None, csv: Path | None = None) -> Sheets:
        """Return the files, each held to be writable under its name.

        Raises:
            InvalidFile: an ending that does not fit, no such folder, or a folder that has the name.
        """
        for option, path in (("--png", png), ("--html", html), ("--csv", csv)):
            if path is not None:
                hold_writable(option, path)
        return cls(png, html, csv)

    def __bool__(self) -> bool:
        return any((self.png, self.html, self.csv))

    @property
    def drawn(self) -> bool:
        """Whether any of the files has pictures."""
        return self.png is not None or self.html is not None

    def write_pictures(self, shown: Sequence[Shown], title: str, *, lead: str = "", rows: bool = False) -> None:
        """Write the image and the page that were asked for; ``rows``: of many rows of one layer."""
        from layerwise import pictures
        from layerwise.store.disk import write_file

        if self.png is not None:
            write_file(self.png, [pictures.draw_png(shown, title=title, lead=lead, rows=rows)])
        if self.html is not None:
            write_file(self.html, [pictures.draw_html(shown, title=title, lead=lead, rows=rows).encode()])

    def write_table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the table that was asked for: one line a row, its columns those of the first."""
        from layerwise.store.disk import write_file

        if self.csv is not None:
            write_file(self.csv, [as_csv(rows).encode()])

    def say(self, what: str) -> None:
        """Say what is where."""
        for path in (self.png, self.html, self.csv):
            if path is not None:
                screen.show(screen.line((str(path), screen.NAME), f" has {what}"))

    def to_json(self) -> dict[str, str]:
        """Return the files by what they are, those that were asked for."""
        files = {"png": self.png, "html": self.html, "csv": self.csv}
        return {name: str(path) for name, path in files.items() if path is not None}


def hold_writable(option: str, path: Path) -> None:
    """Raise InvalidFile where ``path`` cannot be what ``option`` writes, before anything is computed."""
    endings = ENDINGS[option]
    if path.is_dir():
        raise InvalidFile(f"{option} {path} is a folder; name a file in it, like {path / f'look{endings[0]}'}")
    if path.suffix.lower() not in endings:
        found = f"the ending {shorten(path.suffix)} does not fit" if path.suffix else "it has no ending"
        raise InvalidFile(f"{option} {path}: {found}; expected {' or '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise InvalidFile(f"{option} {path}: there is no folder {str(path.absolute().parent)!r}; make it first")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV: a head, then a line a row; lists are JSON, and what is missing is empty.

    >>> as_csv([{"row": 3, "key": "f3, or so", "values": [1.5, 2.0]}])
    'row,key,values\\n3,"f3, or so","[1.5, 2.0]"\\n'
    """
    import csv
    import io
    import json

    out = io.StringIO()
    heads = list(dict.fromkeys(head for row in rows for head in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        values = [screen.plain(row.get(head)) for head in heads]
        writer.writerow(json.dumps(value) if isinstance(value, list | dict) else value for value in values)
    return out.getvalue()


def wants_pictures(asked: bool | None) -> bool:
    """Say whether to draw on the screen: as asked for, else where it is a terminal."""
    return screen.paper().is_terminal if asked is None else asked

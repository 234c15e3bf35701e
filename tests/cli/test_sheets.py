"""The files that looking writes: held to their names before anything runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from layerwise.cli.sheets import Sheets, as_csv
from layerwise.errors import InvalidFile


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("png", "a.jpg", "--png a.jpg: the ending '.jpg' does not fit; expected .png"),
        ("html", "page", "--html page: it has no ending; expected .html or .htm"),
        ("csv", "a.json", "expected .csv"),
        ("png", "no/a.png", "make it first"),
        ("html", "folder", "--html folder is a folder; name a file in it, like folder/look.html"),
        ("csv", "folder.csv", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, name: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidFile) as caught:
        Sheets.of(**{option: Path(name)})
    assert told in str(caught.value)


def test_an_ending_may_be_in_capitals_and_nothing_asked_is_nothing() -> None:
    assert Sheets.of(png=Path("A.PNG")).drawn
    assert not Sheets.of()


def test_a_table_is_csv_whatever_is_in_it() -> None:
    rows: list[dict[str, object]] = [
        {"row": "a,b", "values": [1.0, float("nan")]},
        {"row": 'say "x"\nagain', "values": None},
    ]
    read = list(csv.reader(io.StringIO(as_csv(rows))))
    assert read == [["row", "values"], ["a,b", "[1.0, null]"], ['say "x"\nagain', ""]]
    assert as_csv([]) == "\n"

"""``layerwise evaluate``, ``predict`` and ``export``: a version at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import recording, screen
from layerwise.cli.asked import Asked, FromData, Rows, SomeRows, asked_rows
from layerwise.cli.options import AsJson, Code, VersionOf, load, open_repository
from layerwise.cli.recording import Layers, Record
from layerwise.words import parse_version

if TYPE_CHECKING:
    from layerwise.engine.answers import Answers
    from layerwise.engine.version import Version


def evaluate(
    context: typer.Context,
    version: VersionOf,
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME[@N]", help="Another dataset than that of the training.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="test, validation, train, or all.")] = "test",
    record: Record = None,
    layers: Layers = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Measure a version on the rows of a dataset.

    With --record, what leaves the layers is kept for rows that are measured: of sample:N of them, or of all.
    """
    asked = recording.asked(record, layers=layers)
    with open_repository(context) as repo:
        opened = load(repo, version, code)
        dataset = repo.dataset(data or opened.data_address)
        with screen.waiting(f"measuring {opened.address}"):
            metrics = opened.evaluate(dataset, split, record=asked)
    if as_json:
        screen.print_json({"version": opened.address, "data": dataset.address, "split": split, "metrics": metrics})
        return
    rows = [[screen.words(name, screen.NAME), screen.number(value)] for name, value in metrics.items()]
    about = f"on all rows of {dataset.address}" if split == "all" else f"on the {split} rows of {dataset.address}"
    screen.show(
        screen.line((opened.address, screen.HEAD), f" {about}"),
        "",
        screen.columns("metric", split, rows=rows, right=[split]),
    )


def predict(
    context: typer.Context,
    version: VersionOf,
    rows: Rows = None,
    row: SomeRows = None,
    data: FromData = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write all answers to a .csv, .parquet or .jsonl file.")
    ] = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Answer for rows: of a file, a folder of images, JSON lines on stdin, --row, or a dataset.

    With a place or a key, --row picks from the rows that are given; where none are, from the dataset of the training.
    A whole number is a place, also where keys are numbers.
    """
    from layerwise.cli import answered

    if out is not None:
        answered.hold_out(out)
    with open_repository(context) as repo:
        asked = asked_rows(repo, repo.manifest(repo.find(parse_version(version))), rows, row or (), data)
        opened = load(repo, version, code)
        with screen.waiting(f"answering with {opened.address}"):
            answers = _answered(opened, asked)
    said = {"version": opened.address, "rows": len(answers)}
    if out is not None:
        answered.write(answers, out)
    if as_json:
        screen.print_json({**said, **({"answers": list(answers)} if out is None else {"out": str(out)})})
    elif out is not None:
        screen.show(
            screen.line((str(out), screen.NAME), f" has {screen.plural(len(answers), 'answer')} of {opened.address}")
        )
    else:
        screen.show(*answered.drawn(answers, screen.paper().width, asked.places))


def _answered(opened: Version, asked: Asked) -> Answers:
    import pyarrow as pa

    from layerwise.engine.answers import Answers

    if asked.places is None:
        return opened.predict(asked.table)
    if opened.tables_whole:
        # A window over time looks at the rows before: these are answered too, and left out.
        found = opened.predict(asked.up_to(max(asked.places)))
        return Answers(found.version, found.table.take(list(asked.places)))
    return opened.predict(pa.concat_tables([asked.table.slice(place, 1) for place in asked.places]))


def export(
    context: typer.Context,
    version: VersionOf,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where; made if it is not there.")],
    force: Annotated[bool, typer.Option("--force", metavar="", help="Replace the files of an earlier export.")] = False,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Write a version as plain files: safetensors with PyTorch's own keys, and the model as YAML."""
    with open_repository(context) as repo:
        opened = load(repo, version, code)
        from layerwise.engine import export as exporting

        found = exporting.export(opened, folder, force=force)
    if as_json:
        counts = {"files": found.files, "tensors": found.tensors}
        screen.print_json({"version": found.version, "folder": str(folder), **counts})
        return
    said = {
        exporting.WEIGHTS: "the weights, for module.load_state_dict",
        exporting.STATE: "what data and answer layers have learned, as layer/tensor",
        exporting.DESCRIPTION: "the model, for layerwise train",
    }
    rows = [
        [screen.words(name, screen.NAME), screen.size(size), screen.number(found.tensors.get(name)), said[name]]
        for name, size in found.files.items()
    ]
    heads = ("file", "size", "tensors", "what it is")
    screen.show(
        screen.line((found.version, screen.HEAD), " is now in ", (str(folder), screen.NAME)),
        "",
        screen.columns(*heads, rows=rows, right=["size", "tensors"], wide=["what it is"]),
    )

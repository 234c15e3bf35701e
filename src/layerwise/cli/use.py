"""``layerwise evaluate``, ``predict``, ``trace`` and ``export``: a version at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from layerwise.cli import screen
from layerwise.cli.asked import FromData, OneRow, Rows, asked_rows
from layerwise.cli.options import AsJson, Code, VersionOf, open_repository
from layerwise.errors import InvalidData
from layerwise.words import parse_version

if TYPE_CHECKING:
    from layerwise.engine.trace import Trace
    from layerwise.engine.version import Version
    from layerwise.repo import Repository


def load(repo: Repository, address: str, code: list[Path] | None) -> Version:
    """Return a version, opened, with the user's own code in the program."""
    parts = parse_version(address)
    # Before torch is loaded: a wrong name is answered at once.
    repo.find(parts)
    with screen.waiting("loading PyTorch"):
        from layerwise.cli.code import run_code
        from layerwise.engine.version import load as opened

        run_code(code)
        return opened(address, repo=repo)


def evaluate(
    context: typer.Context,
    version: VersionOf,
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME[@N]", help="Another dataset than that of the training.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="test, validation, train, or all.")] = "test",
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Measure a version on the rows of a dataset."""
    with open_repository(context) as repo:
        opened = load(repo, version, code)
        dataset = repo.dataset(data or opened.data_address)
        with screen.waiting(f"measuring {opened.address}"):
            metrics = opened.evaluate(dataset, split)
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
    row: OneRow = None,
    data: FromData = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write all answers to a .csv, .parquet or .jsonl file.")
    ] = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Answer for rows: of a file, a folder of images, JSON lines on stdin, --row, or a dataset."""
    from layerwise.cli import answered

    if out is not None:
        answered.hold_out(out)
    with open_repository(context) as repo:
        types = repo.column_types(repo.manifest(repo.find(parse_version(version))))
        table = asked_rows(repo, rows, row, data, types)
        opened = load(repo, version, code)
        with screen.waiting(f"answering for {screen.plural(table.num_rows, 'row')}"):
            answers = opened.predict(table)
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
        screen.show(*answered.drawn(answers, screen.paper().width))


def trace(
    context: typer.Context,
    version: VersionOf,
    rows: Rows = None,
    place: Annotated[int, typer.Option("--row", metavar="N", help="Which of the rows, from 0.")] = 0,
    data: FromData = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Follow one row through every layer: what it was as it left each of them."""
    with open_repository(context) as repo:
        types = repo.column_types(repo.manifest(repo.find(parse_version(version))))
        table = asked_rows(repo, rows, None, data, types)
        if not 0 <= place < table.num_rows:
            raise InvalidData(f"there is no row {place}; the rows are 0 to {table.num_rows - 1:,}")
        opened = load(repo, version, code)
        # A window over time needs the rows before this one.
        found = opened.trace(table.slice(0, place + 1) if opened.tables_whole else table.slice(place, 1))
    if as_json:
        layers = [{"layer": p.layer, "kind": p.kind, "shape": p.shape, "summary": p.summary} for p in found.passages]
        screen.print_json({"version": opened.address, "row": place, "layers": layers, "answer": found.answers[0]})
    else:
        _show_trace(found, place)


def _show_trace(found: Trace, place: int) -> None:
    rows = [[screen.words(one.layer, screen.NAME), _short(one.kind), one.shape, one.summary] for one in found.passages]
    answer = found.answers.cells
    screen.show(
        screen.line((found.version, screen.HEAD), f" on row {place}"),
        "",
        screen.columns(
            "layer", "kind", "shape", "what left it", rows=rows, right=["shape"], wide=["what left it"], spare=["kind"]
        ),
        "",
        screen.facts(zip(answer[0], answer[1], strict=True)),
    )


def _short(kind: str) -> Text:
    from layerwise.graph.kinds import shortest

    return screen.words(shortest(kind).removeprefix("torch.nn."), screen.FAINT)


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

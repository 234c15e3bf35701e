"""``layerwise train``: a model's file becomes a new version."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import failures, recording, screen
from layerwise.cli.options import AsJson, Code, FromData, Message, open_repository
from layerwise.cli.recording import Age, Attention, Cap, Dtype, Gradients, Layers, Record

if TYPE_CHECKING:
    from layerwise.engine.model import Model
    from layerwise.engine.run import Run
    from layerwise.graph.yaml import Marks
    from layerwise.repo import Repository


Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Another value: train.epochs=3, layers.edges.out_channels=32."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume/--no-resume", metavar="", help="Go on where the same run was broken off, or start anew."),
]


def train(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The model's file.")],
    settings: Settings = None,
    data: FromData = None,
    message: Message = "",
    resume: Resume = True,
    record: Record = None,
    layers: Layers = None,
    record_dtype: Dtype = None,
    record_cap: Cap = None,
    record_age: Age = None,
    gradients: Gradients = False,
    attention: Attention = False,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Train a model and keep the result as a new version.

    Everything is checked before the first step. Ctrl-C stops cleanly and keeps the best epoch so far; a run that was
    killed goes on where it was, with the same result. Of what leaves the layers, 256 rows are kept at the end, and
    statistics along the way; what is kept changes no bit of the result.
    """
    from layerwise.store.rows import check_text

    check_text(message, "a message")
    asked = recording.asked(
        record, gradients=gradients, attention=attention, layers=layers, dtype=record_dtype, cap=record_cap,
        age=record_age,
    )  # fmt: skip
    with open_repository(context) as repo, _stopping(as_json=as_json):
        run = _run(repo, file, settings or [], code, data=data, message=message, resume=resume, record=asked)
        if as_json:
            screen.print_json(_json(run))
        else:
            _summary(run)


def _run(repo: Repository, file: Path, settings: list[str], code: list[Path] | None, **given: Any) -> Run:
    model, marks = _read(file, settings, code)
    from layerwise.cli.progress import watch
    from layerwise.engine.run import train as start
    from layerwise.graph import yaml

    # A value of the command line is on no line of the file.
    lines = contextlib.nullcontext() if settings else yaml.in_file(marks)
    with lines, watch() as observer:
        return start(model, repo=repo, observers=[observer], **given)


def _read(file: Path, settings: list[str], code: list[Path] | None) -> tuple[Model, Marks]:
    from layerwise.cli import setting
    from layerwise.cli.code import run_code
    from layerwise.graph import yaml

    description, marks = yaml.load_model(file)
    with screen.waiting("loading PyTorch"):
        from layerwise.engine.model import Model
        from layerwise.engine.training import Training

        run_code(code)
    # The file first, so that its own mistakes are told with their line.
    with yaml.in_file(marks):
        model = Model.from_description(description)
        Training.from_mapping(model.train)
    if settings:
        model = Model.from_description(setting.apply(description, settings))
        Training.from_mapping(model.train)
    return model, marks


@contextlib.contextmanager
def _stopping(*, as_json: bool) -> Iterator[None]:
    """Let the first Ctrl-C stop the run, and the next ones wait until what is best is kept."""
    pressed = 0

    def press(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            raise KeyboardInterrupt
        screen.note("stopping; the best epoch so far is being kept")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(failures.say_stopped(as_json=as_json)) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _json(run: Run) -> dict[str, Any]:
    return {
        "version": run.version.address, "digest": run.version.entry.digest, "run": run.id, "outcome": run.outcome,
        "epoch": run.epoch, "epochs": len(run.history), "resumed": run.resumed, "seconds": run.seconds,
        "metrics": dict(run.metrics), "history": [dict(metrics) for metrics in run.history],
        "repository": run.version.repo.address,
    }  # fmt: skip


def _summary(run: Run) -> None:
    from layerwise.cli.metrics import by_split

    address = run.version.address
    ended = {"stopped": "stopped by Ctrl-C", "stopped early": "stopped early: no better epoch came"}
    epochs = f"{screen.plural(len(run.history), 'epoch')} in {screen.duration(run.seconds)}"
    resumed = f", going on after epoch {run.resumed} of a run that was broken off" if run.resumed else ""
    screen.show(
        "",
        screen.line((address, f"{screen.HEAD} {screen.NAME}"), f" is kept in {run.version.repo.address}"),
        screen.line((f"{ended.get(run.outcome, 'done')}, {epochs}{resumed}; "
                     f"the weights are those of epoch {run.epoch}; run {run.id}", screen.FAINT)),
        "",
        by_split(run.metrics, _before(run)),
        "",
        *(screen.line((f"{what:<16}", screen.FAINT), command) for what, command in _next(address)),
    )  # fmt: skip


def _before(run: Run) -> tuple[str, Mapping[str, float]] | None:
    """Return the version before, where its test rows were the same."""
    repo, entry = run.version.repo, run.version.entry
    if entry.parent is None:
        return None
    address = f"{entry.name}@{entry.parent}"
    old, new = repo.manifest(repo.find(address)), run.version.manifest
    same = all(old.data.get(key) == new.data.get(key) for key in ("digest", "split"))
    return (address, old.metrics) if same else None


def _next(address: str) -> list[tuple[str, str]]:
    model = address.partition("@")[0]
    return [
        ("see its layers", f"layerwise show {address}"),
        ("follow a row", f"layerwise trace {address} --row 0"),
        ("let it answer", f"layerwise predict {address} ROWS.csv"),
        ("give it a name", f"layerwise alias {address} champion"),
        ("compare", f"layerwise log {model}"),
    ]

"""What a run shows on stderr while it runs: a bar and a growing table on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from layerwise.cli import screen
from layerwise.engine.events import EpochEnded, Event, LayerWarned, Phase, RecordsLost, RunStarted, Step

REFRESH = 0.1
"""Seconds between two movements of the bar: a step may take less than drawing it."""

CELL = 10
"""Narrowest column of the table of epochs."""


SAID = {"nan": "not finite"}
"""How a warning is called where it is not called as the event is."""


class Watcher(Protocol):
    """Takes the events of a run and gives back what it holds of the screen."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Give the screen back."""


@contextlib.contextmanager
def watch() -> Iterator[Watcher]:
    """Return what watches a run as fits stderr."""
    console = screen.notes()
    watcher: Watcher = Bar(console) if console.is_terminal else Lines()
    try:
        yield watcher
    finally:
        watcher.close()


def begun(event: RunStarted) -> str:
    """Return what is about to happen in one line."""
    rows = ", ".join(f"{count:,} {split}" for split, count in event.rows.items())
    text = f"{event.model} on {event.data}: {rows} rows; {event.parameters:,} parameters; {event.device}"
    if event.epoch > 1:
        text += f"\ngoing on at epoch {event.epoch} of a run that was broken off (--no-resume starts anew)"
    return text


def warned(event: LayerWarned | RecordsLost) -> str:
    """Return what goes wrong, or is not kept, in one line."""
    if isinstance(event, RecordsLost):
        return f"not recorded: {event.text}"
    return f"layer {event.layer!r} is {SAID.get(event.what, event.what)} since epoch {event.epoch}: {event.text}"


@dataclass
class Lines:
    """Plain lines, for logs: one an epoch."""

    epochs: int = 0

    def __call__(self, event: Event) -> None:
        """Write what an event says."""
        if isinstance(event, RunStarted):
            self.epochs = event.epochs
            for text in begun(event).splitlines():
                screen.note(text, "")
        elif isinstance(event, EpochEnded):
            values = "  ".join(f"{name} {screen.number(value)}" for name, value in event.metrics.items())
            best = "  best so far" if event.best else ""
            screen.note(f"epoch {event.epoch}/{self.epochs}  {values}  {screen.duration(event.seconds)}{best}", "")
        elif isinstance(event, LayerWarned | RecordsLost):
            screen.note(warned(event), "yellow")

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Bar:
    """A bar below a table that grows by a line an epoch."""

    console: Console
    epochs: int = 0
    done: int = 0
    waiting: int = 0
    drawn: float = 0.0
    names: list[str] = field(default_factory=list)
    task: TaskID | None = None

    def __post_init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), Rate(), TimeRemainingColumn(compact=True),
            console=self.console, transient=True, expand=True,
        )  # fmt: skip
        self.progress.start()

    def __call__(self, event: Event) -> None:
        """Draw what an event says."""
        if isinstance(event, Phase):
            self._describe(screen.words(event.text, screen.FAINT).plain, total=None)
        elif isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, Step):
            self._step(event)
        elif isinstance(event, EpochEnded):
            self._move()
            self._row(event)
        elif isinstance(event, LayerWarned | RecordsLost):
            self.progress.print(screen.words(warned(event), "yellow"))

    def close(self) -> None:
        """Take the bar away; the table stays."""
        self.progress.stop()

    def _describe(self, text: str, total: float | None) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        # Text, since a description is markup to Rich.
        self.task = self.progress.add_task(text.replace("[", r"\["), total=total)

    def _start(self, event: RunStarted) -> None:
        self.epochs = event.epochs
        self.progress.print(screen.words(begun(event).splitlines()[0], screen.FAINT))
        for text in begun(event).splitlines()[1:]:
            self.progress.print(screen.words(text, "yellow"))
        rows = event.rows.get("train", 0)
        self._describe(self._title(event.epoch), total=rows * (event.epochs - event.epoch + 1))

    def _title(self, epoch: int) -> str:
        return f"epoch {min(epoch, self.epochs)}/{self.epochs}"

    def _step(self, event: Step) -> None:
        self.waiting += event.rows
        if time.monotonic() - self.drawn >= REFRESH:
            self._move(self._title(event.epoch))

    def _move(self, title: str | None = None) -> None:
        if self.task is not None:
            self.progress.update(self.task, advance=self.waiting, description=title)
        self.waiting, self.drawn = 0, time.monotonic()

    def _row(self, event: EpochEnded) -> None:
        if not self.names:
            self.names = fitting(event.metrics, self.console.width)
            for head in heads(self.names):
                self.progress.print(head)
        cells = [screen.number(event.metrics.get(name)).rjust(width(name)) for name in self.names]
        text = f"{event.epoch:>5}  {'  '.join(cells)}  {screen.duration(event.seconds):>7}"
        best = ("  best so far", screen.GOOD) if event.best else ""
        self.progress.print(Text.assemble((text, "" if event.best else screen.FAINT), best))


def width(name: str) -> int:
    """Return the width of a metric's column."""
    return max(CELL, len(name.partition("/")[2]))


def fitting(metrics: Mapping[str, float], columns: int) -> list[str]:
    """Return the metrics for which the screen has room, losses first, in the order of splits."""
    room = columns - len("epoch") - len("  1.2 min") - len("  best so far")
    kept: set[str] = set()
    for name in sorted(metrics, key=lambda name: not name.endswith("/loss")):
        room -= width(name) + 2
        if room >= 0:
            kept.add(name)
    return [name for name in metrics if name in kept]


def heads(names: list[str]) -> list[Text]:
    """Return the two lines above the table: splits, then metrics."""
    splits, before = [], ""
    for name in names:
        split = name.partition("/")[0]
        splits.append(("" if split == before else split[: width(name)]).rjust(width(name)))
        before = split
    below = "  ".join(name.partition("/")[2].rjust(width(name)) for name in names)
    return [
        Text(f"{'':>5}  {'  '.join(splits)}".rstrip(), style=screen.FAINT),
        Text(f"epoch  {below}  {'time':>7}", style=screen.HEAD),
    ]


class Rate(ProgressColumn):
    """Training rows a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing while there is none."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", style=screen.FAINT)

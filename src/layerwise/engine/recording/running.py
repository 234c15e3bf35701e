"""Recording a run: what looks on while it trains, and what is kept of its version afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from layerwise.engine.evaluate import Live
from layerwise.engine.events import Observer, Phase, RecordsLost, tell
from layerwise.engine.prepare import Prepared
from layerwise.engine.recording.asked import Recording
from layerwise.engine.recording.keeping import Answering, record_rows, sample_of
from layerwise.engine.recording.live import LiveRecording, Whose
from layerwise.engine.recording.watch import Watch
from layerwise.engine.training import RECORD
from layerwise.graph.graph import Graph
from layerwise.repo import Repository


@dataclass(frozen=True)
class RunRecording:
    """What is recorded of one run.

    Attributes:
        door: the repository.
        asked: what is asked for.
        run: the run's id.
        observers: told of what is not recorded.
    """

    door: Repository
    asked: Recording
    run: str
    observers: Sequence[Observer]

    def watch(self, prepared: Prepared, steps: int) -> Watch | None:
        """Return what looks on while the model trains, or None where nothing is to be seen."""
        if not self.asked.watches:
            return None
        live = self._live(prepared) if self.asked.live else None
        return Watch(prepared.live, steps, self.observers, live)

    def keep(self, version: Answering, prepared: Prepared) -> None:
        """Keep what left the layers of the new version for some rows; whatever goes wrong, the version stands."""
        positions = prepared.positions
        rows = positions["validation"] if len(positions["validation"]) else positions["train"]
        if not self.asked.keeps_rows:
            return
        tell(self.observers, Phase("keeping what leaves the layers"))
        try:
            record_rows(
                version, prepared.dataset, sample_of(prepared.dataset, rows, self.asked.rows), self.asked,
                made="train", run=self.run, live=_at_hand(prepared.live),
            )  # fmt: skip
        except (Exception, KeyboardInterrupt) as error:
            said = str(error) or type(error).__name__
            tell(self.observers, RecordsLost(f"no rows of the new version are kept: {said}"))

    def _live(self, prepared: Prepared) -> LiveRecording:
        created = datetime.now(UTC)
        expires = None if self.asked.age is None else (created + self.asked.age).isoformat(timespec="seconds")
        whose = Whose(self.run, prepared.dataset.digest, created.isoformat(timespec="seconds"), expires)
        training = prepared.training
        return LiveRecording(
            self.door.store.disk, whose, prepared.rows("train").numpy(), self.asked, self.asked.chosen(prepared.model),
            batch=training.batch, repeats=training.sampling == "balanced",
            lost=lambda text: tell(self.observers, RecordsLost(text)),
        )  # fmt: skip


def asked_for(said: object, model: Graph) -> Recording:
    """Return what is to be recorded of a model: as the caller says, else as its ``train:`` says, else the default."""
    asked = Recording.parse(model.train.get(RECORD, "sample:256") if said is None else said)
    asked.chosen(model)
    return asked


def _at_hand(live: Live) -> Live | None:
    # What a version answers with is computed on the processor.
    return live if live.device.type == "cpu" else None

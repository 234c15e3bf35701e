"""kill -9 at random moments, on real processes and real files: what was acknowledged is there, whole.

A kill takes a process and leaves the system's memory of its files: this shows what races and half-done work leave
behind. What a loss of power leaves is shown elsewhere, on a model of the disk.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.crash.ledger import Faults, Ledger
from tests.crash.nursery import Child, Nursery
from tests.support.counts import report

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

SEED = int(os.environ.get("LAYERWISE_SEED", "7"))
KILLS = int(os.environ.get("LAYERWISE_KILLS", "10000"))
"""How many kills the long tier makes."""

WORK = ("commit",) * 5 + ("train",) * 3 + ("add",) * 2 + ("gc",) * 3 + ("repair",)
"""What a child does, drawn from these."""

A_LIFE = 25
"""Kills in one repository; then a new one, …"""

EARLY = 0.3
"""… whose first kills fall in this part of the work, where it is made."""

AGAIN = 8
"""Every so many rounds, and after each collection and repair, all versions are read again, not only new ones."""

SOONER, LATER = 0.7, 1.05
"""How the span that kills fall in follows the machine: shorter by much when a child was done before its kill, longer
by a little when it was not, so that about one in eight is done before and no part of the work is left out."""


@dataclass(frozen=True)
class Moment:
    """When a child is killed: after so many seconds, or when it has told of so many steps; never is infinite."""

    seconds: float = math.inf
    steps: float = math.inf

    def left(self, child: Child) -> float:
        """Return after how many seconds it comes, if the child does not bring it on; 0 where it is there."""
        if child.ended is not None or child.lines >= self.steps:
            return 0.0
        return 1.0 if child.begun is None else min(1.0, max(0.0, child.begun + self.seconds - time.monotonic()))


@dataclass
class Campaign:
    """Kills until there were enough of them, and what was found.

    Attributes:
        seed: from which every draw follows: which work, on which content, killed when.
        work: what children do, drawn from these.
        places: where the killed children were.
        acknowledged, kept: versions that children were told of; versions that there were.
    """

    nursery: Nursery
    folder: Path
    seed: int
    work: Sequence[str] = WORK
    faults: Faults = field(default_factory=Faults)
    places: Counter[str] = field(default_factory=Counter)
    worked: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    kept: int = 0
    objects: int = 0
    swept: int = 0
    resumed: int = 0

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)
        self.spans: dict[tuple[str, int], float] = {}
        self.steps: dict[str, int] = {}
        self.lives = 0

    @property
    def kills(self) -> int:
        """How many children were killed alive."""
        return self.places.total()

    def run(self, kills: int) -> None:
        """Kill ``kills`` children, in as many repositories as it takes."""
        while self.kills < kills and not self.faults.all:
            ledger = Ledger(self.folder / f"life{self.lives}")
            self.lives += 1
            self._live(ledger, min(kills, self.kills + A_LIFE))
            self.acknowledged += len(ledger.versions)
            self.kept += len(ledger.shown)
            self.objects += ledger.objects
            self.swept += ledger.swept
            if not self.faults.all:
                shutil.rmtree(ledger.path)

    def _live(self, ledger: Ledger, kills: int) -> None:
        rounds = 0
        while self.kills < kills and not self.faults.all:
            count = min(self.draw.randint(1, 3), kills - self.kills)
            work = [self.draw.choice(self.work) for _ in range(count)]
            children = self._round(ledger, work, EARLY if rounds == 0 else 1.0)
            ledger.hear(children)
            rounds += 1
            moved = "gc" in work or "repair" in work
            self.faults.add(ledger.check(whole=moved or rounds % AGAIN == 0))
        if self.faults.all:
            return
        # What was removed and coded in pieces, by collectors that were killed, is finished by one that is not.
        self.nursery.ended([self.nursery.start("gc", ledger.path, self._seed("gc"), late=True)])
        self.faults.add(ledger.check(whole=True))
        self.faults.corrupt += ledger.verify()

    def _round(self, ledger: Ledger, work: list[str], part: float) -> list[Child]:
        """Let children work side by side, each until its moment, which falls in the first ``part`` of its work."""
        crowd = len(work)
        for what in work:
            if (what, crowd) not in self.spans:
                self.spans[what, crowd] = self._alone(what) * crowd**0.7
        children = [self.nursery.start(what, ledger.path, self._seed(what)) for what in work]
        moments = {child.job: self._moment(child.what, crowd, part) for child in children}
        waiting = list(children)
        while waiting:
            left = {child.job: moments[child.job].left(child) for child in waiting}
            for child in [child for child in waiting if not left[child.job]]:
                self.nursery.kill(child)
                waiting.remove(child)
            self.nursery.listen(time.monotonic() + min(left.values()))
        self.nursery.ended(children)
        for child in children:
            self._count(child)
            if part == 1.0 and moments[child.job].seconds < math.inf:
                self.spans[child.what, crowd] *= LATER if child.killed else SOONER
        return children

    def _moment(self, what: str, crowd: int, part: float) -> Moment:
        # By the clock, most kills fall where a child waits for the disk; by its steps, as many fall between.
        drawn = self.draw.uniform(0, part)
        if self.draw.random() < 0.5:
            return Moment(seconds=drawn * self.spans[what, crowd])
        return Moment(steps=max(1.0, drawn * self.steps[what]))

    def _seed(self, what: str) -> int:
        # Few trainings, so that one that was killed is met again and goes on.
        return self.draw.randrange(2) if what == "train" else self.draw.getrandbits(40)

    def _alone(self, what: str) -> float:
        """Return how long one child takes that nothing disturbs, in seconds."""
        child = self.nursery.start(what, self.folder / "undisturbed", self._seed(what))
        self.nursery.ended([child])
        assert child.begun is not None
        self.steps[what] = child.lines
        return child.heard - child.begun

    def _count(self, child: Child) -> None:
        self.resumed += sum(1 for acked in child.all("acked") if acked.get("resumed"))
        if child.killed:
            self.places[child.place] += 1
            self.worked[child.what] += 1


def killed(nursery: Nursery, folder: Path, kills: int) -> Campaign:
    """Kill, say what came of it, and hold the promise."""
    started = time.monotonic()
    campaign = Campaign(nursery, folder, SEED)
    campaign.run(kills)
    seconds, faults = time.monotonic() - started, campaign.faults
    told = f"{campaign.acknowledged:,} versions acknowledged, {campaign.objects:,} objects read"
    work = ", ".join(f"{what} {count}" for what, count in sorted(campaign.worked.items()))
    report(f"kill -9 at random ({work}; {told}): lost", campaign.kills, len(faults.lost), seed=SEED, seconds=seconds)
    report("kill -9 at random: corrupt reads", campaign.kills, len(faults.corrupt), seed=SEED, seconds=seconds)
    report("kill -9 at random: gaps, twins, files left by an open", campaign.kills, len(faults.gaps + faults.left))
    print(f"  repositories: {campaign.lives}; kept and nobody was told: {campaign.kept - campaign.acknowledged}")
    print(f"  runs that went on after a kill: {campaign.resumed}; temp files removed: {campaign.swept}; killed at:")
    print("".join(f"    {count:6,} {place}\n" for place, count in sorted(campaign.places.items())), end="")
    assert not faults.all
    assert campaign.kills == kills
    return campaign


def inside(campaign: Campaign, stage: str) -> int:
    """Return how many kills fell inside a stage of the children's work, between its first effect and its return."""
    return sum(count for place, count in campaign.places.items() if place.startswith(f"{stage}: "))


def test_what_was_acknowledged_survives_a_hundred_kills(nursery: Nursery, tmp_path: Path) -> None:
    campaign = killed(nursery, tmp_path, 100)
    assert inside(campaign, "commit") >= 10
    assert inside(campaign, "gc") >= 2
    assert campaign.acknowledged >= 15


def test_a_store_that_names_before_it_writes_is_found_out(spoilt: Nursery, tmp_path: Path) -> None:
    """The kills fall where they must: an order that is wrong shows, within as many of them."""
    campaign = Campaign(spoilt, tmp_path, SEED, work=("commit",))
    campaign.run(100)
    print(f"a store that names before it writes was found out after {campaign.kills} kills, seed {SEED}")
    assert campaign.faults.corrupt


@pytest.mark.slow
def test_what_was_acknowledged_survives_ten_thousand_kills(nursery: Nursery, tmp_path: Path) -> None:
    campaign = killed(nursery, tmp_path, KILLS)
    assert inside(campaign, "commit") >= KILLS // 10
    assert inside(campaign, "gc") >= KILLS // 50
    assert inside(campaign, "repair") >= KILLS // 200
    assert campaign.acknowledged >= KILLS // 8
    assert campaign.resumed > 0

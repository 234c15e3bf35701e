"""What was acknowledged to the children of one repository, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerwise.canonical import digest_value
from layerwise.repo import Repository
from layerwise.store.rows import Entry
from tests.crash import contents
from tests.crash.looking import Place, look
from tests.crash.nursery import Child


@dataclass
class Faults:
    """What a check found wrong, one sentence each; all of it empty where the promise was kept."""

    lost: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        """Every sentence."""
        return [*self.lost, *self.corrupt, *self.gaps, *self.left]

    def add(self, other: Faults) -> None:
        """Take over what another check found."""
        for name in ("lost", "corrupt", "gaps", "left"):
            getattr(self, name).extend(getattr(other, name))


@dataclass
class Ledger:
    """The acknowledgements of the children that work in one repository.

    Attributes:
        path: the repository.
        versions: what was acknowledged, by version.
        aliases: the aliases that were, with the numbers they mean.
        twins: versions that were acknowledged to two children.
        weights: what came of trainings with one seed, killed between or not: one set of weights each.
        shown: the entries of the last check, also those that nobody was told of.
        objects: how many objects the checks have read.
        swept: how many temp files there were before the opens that had to remove them.
    """

    path: Path
    versions: dict[Place, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    twins: list[str] = field(default_factory=list)
    weights: dict[int, set[str]] = field(default_factory=dict)
    shown: dict[Place, Entry] = field(default_factory=dict)
    objects: int = 0
    swept: int = 0
    _known: set[Place] = field(default_factory=set)

    def hear(self, children: Iterable[Child]) -> None:
        """Write down what the children said was acknowledged to them."""
        for child in children:
            for acked in child.all("acked"):
                sort, name, number = acked["place"]
                if (sort, name, number) in self.versions:
                    self.twins.append(f"{name}@{number} was acknowledged to two children")
                self.versions[sort, name, number] = acked
                if "trained" in acked:
                    self.weights.setdefault(acked["trained"], set()).add(acked["weights"])
            self.aliases.update(dict(child.all("alias")))

    def check(self, *, whole: bool) -> Faults:
        """Open the repository while no child lives, and compare.

        Args:
            whole: whether to read again what an earlier check has read.
        """
        self.swept += len(self._temporary())
        with Repository(self.path) as repo:
            found = Faults(left=[f"{name} was left by an open" for name in self._temporary()])
            seen = look(repo, set() if whole else self._known)
            found.corrupt += seen.corrupt
            found.gaps += [*seen.gaps, *self.twins]
            found.lost += [fault for place in self.versions for fault in self._missing(repo, place, seen.entries)]
            found.lost += self._missing_aliases(repo)
        found.corrupt += [
            f"trainings with seed {seed} made {len(made)} sets of weights"
            for seed, made in self.weights.items()
            if len(made) > 1
        ]
        self.shown, self.objects = seen.entries, self.objects + seen.objects
        self._known.update(seen.entries)
        return found

    def verify(self) -> list[str]:
        """Return what ``layerwise verify`` finds, one sentence each."""
        with Repository(self.path) as repo:
            return [f"verify: {finding.what}: {finding.found}" for finding in repo.verify().findings]

    def _temporary(self) -> list[str]:
        folder = self.path / "tmp"
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def _missing(self, repo: Repository, place: Place, entries: dict[Place, Entry]) -> Iterable[str]:
        acked, entry = self.versions[place], entries.get(place)
        if entry is None:
            yield f"{place[1]}@{place[2]} was acknowledged and is not there"
        elif entry.digest != acked["digest"]:
            yield f"{place[1]}@{place[2]} was acknowledged as {acked['digest']} and is {entry.digest}"
        elif "trained" in acked and place not in self._known:
            states = {path: layer.state for path, layer in repo.manifest(entry).layers.items()}
            if digest_value("weights", states) != acked["weights"]:
                yield f"{place[1]}@{place[2]} has other weights than the training that made it"

    def _missing_aliases(self, repo: Repository) -> Iterable[str]:
        aliases = repo.aliases(contents.NET)
        return [
            f"the alias {alias} was acknowledged for {number} and means {aliases.get(alias)}"
            for alias, number in self.aliases.items()
            if aliases.get(alias) != number
        ]

"""Is every byte of a repository what it was: packs, objects, manifests, names, catalog.

What is damaged is set aside, named by model, version and layer, never served and never deleted. What else a damaged
pack holds is written anew, so that one flipped bit costs the object that it is in and no other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from layerwise.errors import LayerwiseError
from layerwise.store.catalog.checks import Contents
from layerwise.store.catalog.tables import DAMAGED
from layerwise.store.packs import damaged_name, pack_name, trash_name
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.upkeep.manifests import address, disagreements, references
from layerwise.upkeep.names import check_names
from layerwise.upkeep.packs import find_pack, look, salvage
from layerwise.upkeep.recorded import needs
from layerwise.words import Digest

Watch = Callable[[int, int], None]
"""Told how many packs were looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was.

    Attributes:
        what: the pack, the version or the part of the catalog.
        found: what is wrong with it.
        hurts: what needs it: ``the state of digits@3/edges``.
        done: what was done about it, or what to do.
    """

    what: str
    found: str
    hurts: tuple[str, ...] = ()
    done: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what was found: nothing, in a sound repository."""

    versions: int
    packs: int
    objects: int
    bytes: int
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"sound": self.sound, **asdict(self)}


@dataclass(slots=True)
class _Seen:
    """What is known of the packs so far."""

    packs: int = 0
    bytes: int = 0
    good: set[Digest] = field(default_factory=set)
    bad: dict[Digest, set[Digest]] = field(default_factory=lambda: defaultdict(set))
    wrong: dict[Digest, str] = field(default_factory=dict)
    misplaced: list[Digest] = field(default_factory=list)


def verify(store: Store, *, watch: Watch | None = None) -> Verified:
    """Compare every byte with its digest and every name with what it names; set aside what is damaged.

    Args:
        store: the repository.
        watch: told of every pack that was looked at.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        ...     verify(store).sound
        True
    """
    started = time.perf_counter()
    contents, wrong_names = check_names(store)
    findings = [Finding("the catalog", wrong, done=_REPAIR) for wrong in (*contents.wrong, *wrong_names)]
    seen = _look_at_packs(store, contents, watch)
    findings += [Finding(f"pack {pack}", _MISPLACED, done=_REPAIR) for pack in seen.misplaced]
    hurts, broken = _look_at_versions(store, contents, seen)
    findings += broken
    findings += _look_at_records(store, contents, seen, hurts)
    for pack, wrong in sorted(seen.wrong.items()):
        hurt = tuple(sorted(name for digest in seen.bad[pack] - seen.good for name in hurts.get(digest, ())))
        findings.append(Finding(f"pack {pack}", wrong, hurt, _set_aside(store, pack)))
    seconds = time.perf_counter() - started
    return Verified(len(contents.entries), seen.packs, len(seen.good), seen.bytes, seconds, tuple(findings))


def _look_at_packs(store: Store, contents: Contents, watch: Watch | None) -> _Seen:
    seen = _Seen()
    for number, (pack, state) in enumerate(sorted(contents.states.items()), start=1):
        if state == DAMAGED:
            salvage(store, pack)  # Whoever set it aside may have been killed before.
        else:
            _look_at_pack(store, pack, contents.packs.get(pack, {}), seen)
        if watch is not None:
            watch(number, len(contents.states))
    return seen


def _look_at_pack(store: Store, pack: Digest, said: dict[Digest, Location], seen: _Seen) -> None:
    begun = None if store.seals is None else store.seals.begin(pack)
    try:
        data = find_pack(store, pack)
    except FileNotFoundError:
        if store.catalog.packs.has(pack):  # Or a collector has just removed it.
            seen.wrong[pack], seen.bad[pack] = "it is not there", set(said)
        return
    found = look(data, pack, store.objects.stored)
    seen.packs += 1
    seen.bytes += found.bytes
    seen.good |= found.good.keys()
    seen.bad[pack] = set(said) - found.good.keys() | found.bad.keys()
    if found.wrong:
        seen.wrong[pack] = found.wrong
    elif said != dict(found.good):
        seen.misplaced.append(pack)
    elif store.seals is not None and begun is not None:
        store.seals.keep(begun, found.good)


def _look_at_versions(store: Store, contents: Contents, seen: _Seen) -> tuple[dict[Digest, list[str]], list[Finding]]:
    """Return who needs which object, and what is wrong with versions but for damaged packs."""
    hurts: dict[Digest, list[str]] = defaultdict(list)
    findings = []
    explained = set().union(*seen.bad.values()) if seen.bad else set()
    for entry in contents.entries:
        name = address(entry)
        hurts[entry.digest].append(f"the manifest of {name}")
        try:
            findings += [Finding(name, wrong, done=_REPAIR) for wrong in disagreements(store, entry)]
            named = references(store, entry)
        except LayerwiseError as error:
            if entry.digest not in explained:
                findings.append(Finding(name, str(error).removeprefix(f"the manifest of {name}: ")))
            continue
        for what, digest in named.items():
            hurts[digest].append(what)
            if digest not in seen.good and digest not in explained and not _readable(store, digest):
                findings.append(Finding(name, f"{what}, object {digest}, is not there", done=_COPY))
    return hurts, findings


def _look_at_records(store: Store, contents: Contents, seen: _Seen, hurts: dict[Digest, list[str]]) -> list[Finding]:
    """Return what is wrong with sets of records but for damaged packs; add to ``hurts`` which objects they need."""
    findings: list[Finding] = []
    explained = set().union(*seen.bad.values()) if seen.bad else set()
    for need in needs(store, contents.recordings, contents.entries):
        if need.digest is None:
            if need.record not in explained:
                findings.append(Finding(need.name, need.what, done=_FORGET))
            continue
        # Of sets that share a chunk one name is enough.
        if need.what not in hurts[need.digest]:
            hurts[need.digest].append(need.what)
        there = need.digest in seen.good or need.digest in explained or _readable(store, need.digest)
        if not there:
            findings.append(Finding(need.name, f"{need.what}, object {need.digest}, is not there", done=_FORGET))
    return findings


def _readable(store: Store, digest: Digest) -> bool:
    # A collector may have put it into a new pack since the catalog was read.
    try:
        store.objects.get(digest)
    except LayerwiseError:
        return False
    return True


_MISPLACED = "it is whole, and the catalog says that other objects are in it, or elsewhere in it"
_REPAIR = "`layerwise repair` makes the catalog anew"
_FORGET = "put the pack back from a copy of the repository; or forget these records: answers are computed then"
_COPY = "put the pack back from a copy of the repository, then run `layerwise repair`"


def _set_aside(store: Store, pack: Digest) -> str:
    store.catalog.packs.set_aside(pack)
    moved = False
    for name in (pack_name(pack), trash_name(pack)):
        with suppress(FileNotFoundError):
            store.blobs.move(name, damaged_name(pack))
            moved = True
    if not moved:
        return _COPY
    if store.catalog.packs.is_live(pack):
        # A writer wrote it anew between the two steps, and it was the good file that was moved.
        store.blobs.move(damaged_name(pack), pack_name(pack))
        return "written anew meanwhile by a writer"
    saved = salvage(store, pack)
    return f"set aside in {damaged_name(pack)}; {saved:,} good object{'' if saved == 1 else 's'} of it written anew"

"""The states that a loss of power can leave, from the log of a `World`.

A directory entry that was made, renamed or removed is durable once its folder is fsync'ed; a file's bytes once the file
is; a transaction once one with FULL ends, which makes all before it durable too. Of the rest, any part may be there:

- `journal`: the first so many changes of directories, in their order, over all folders: a journalling file system.
- `ordered`: of each folder the first so many; the two halves of a rename each on its own.
- `whole`: any of them, a rename whole.
- `any`: any of them, the halves of a rename each on its own: as weak as POSIX allows.

Bytes that were not fsync'ed are absent, cut off, zeros, or other bytes. Transactions that did not wait are lost from
the last one back.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tests.crash.simdisk import (
    FOLDER,
    Acknowledged,
    Committed,
    FileSynced,
    Filled,
    FolderSynced,
    Linked,
    Operation,
    Renamed,
    Unlinked,
    World,
    parent,
)

WHOLE: Final = ("journal", "whole")
"""The modes in which a rename happens whole: every file system that is in use promises that, POSIX does not."""

MODES: Final = ("journal", "ordered", "whole", "any")

TORN: Final = ("absent", "half", "zeros", "other", "whole")
"""What can be there of bytes that were not fsync'ed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One directory entry that changed: to an inode, or to nothing. ``rename`` joins the halves of one."""

    path: str
    inode: int | None
    operation: int
    rename: bool = False


@dataclass
class State:
    """What a loss of power left: files, folders, the database; and what had been promised by then.

    ``key`` is the same for two states of one log that are the same.
    """

    files: dict[str, bytes]
    folders: frozenset[str]
    database: Committed | None
    promises: tuple[Acknowledged, ...]
    key: int
    mode: str

    def world(self) -> World:
        """Return the file system as a process finds it afterwards."""
        return World(self.files, self.folders)


@dataclass
class Platter:
    """What is durable, and what waits to be, at one point of a log."""

    durable: dict[str, int] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    reachable: frozenset[str] = frozenset()
    pending: list[Change] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)
    synced: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    databases: list[Committed | None] = field(default_factory=lambda: [None])
    transactions: int = 0
    promises: list[Acknowledged] = field(default_factory=list)
    done: int = 0

    def apply(self, operation: Operation) -> None:
        """Take over the next operation of the log."""
        self.done += 1
        match operation:
            case Linked(path, inode):
                self.pending.append(Change(path, inode, self.done))
            case Unlinked(path):
                self.pending.append(Change(path, None, self.done))
            case Renamed(source, target, inode):
                halves = Change(source, None, self.done, True), Change(target, inode, self.done, True)
                self.pending.extend(halves)
            case Filled(inode, data):
                self.contents[inode] = self.contents.get(inode, b"") + data
            case FileSynced(inode):
                self.synced[inode] = len(self.contents.get(inode, b""))
            case FolderSynced(path):
                self._settle(path)
            case Committed(_, durable):
                self.databases = [operation] if durable else [*self.databases, operation]
                self.transactions += 1
            case Acknowledged():
                self.promises.append(operation)

    def _settle(self, folder: str) -> None:
        here = [change for change in self.pending if parent(change.path) == folder]
        self.pending = [change for change in self.pending if parent(change.path) != folder]
        for change in here:
            _put(self.durable, change)
            self.settled.add(change.operation)
        if made := {change.path for change in here if change.inode == FOLDER}:
            self.folders |= made
            self.reachable = _reachable(self.folders)
            self.durable = {path: inode for path, inode in self.durable.items() if inode != FOLDER}

    def state(self, kept: Sequence[Change], mode: str, draw: random.Random, database: int) -> State:
        """Return the state in which the changes ``kept`` reached the disk, and the transactions up to ``database``."""
        entries = dict(self.durable)
        for change in kept:
            _put(entries, change)
        made = {path for path, inode in entries.items() if inode == FOLDER}
        folders = _reachable(self.folders | made) if made else self.reachable
        files: dict[str, bytes] = {}
        torn: dict[int, tuple[str, bytes]] = {}
        key: list[object] = [folders, self.transactions - len(self.databases) + database, len(self.promises)]
        for path, inode in sorted(entries.items()):
            folder = parent(path)
            if inode != FOLDER and (not folder or folder in folders):
                if inode not in torn:
                    torn[inode] = self._torn(inode, draw)
                how, files[path] = torn[inode]
                key.append((path, inode, how))
        return State(files, folders, self.databases[database], tuple(self.promises), hash(tuple(key)), mode)

    def _torn(self, inode: int, draw: random.Random) -> tuple[str, bytes]:
        data, safe = self.contents.get(inode, b""), self.synced.get(inode, 0)
        if safe == len(data):
            return f"whole {safe}", data
        how = draw.choice(TORN)
        tail = data[safe:]
        left = {
            "absent": b"",
            "half": tail[: len(tail) // 2],
            "zeros": bytes(len(tail)),
            "other": bytes(byte ^ 0x5A for byte in tail),
            "whole": tail,
        }[how]
        return f"{how} {safe}:{len(data)}", data[:safe] + left


def _reachable(folders: frozenset[str]) -> frozenset[str]:
    """Return those of ``folders`` whose folders above are there too."""
    found: set[str] = set()
    for path in sorted(folders):
        above = parent(path)
        if not above or above in found:
            found.add(path)
    return frozenset(found)


def _put(entries: dict[str, int], change: Change) -> None:
    if change.inode is None:
        entries.pop(change.path, None)
    else:
        entries[change.path] = change.inode


@dataclass
class Choice:
    """Chooses which of the pending changes reached the disk."""

    platter: Platter
    random: random.Random

    @cached_property
    def operations(self) -> list[int]:
        return sorted({change.operation for change in self.platter.pending})

    def kept(self, mode: str) -> list[Change]:
        """Return some of the pending changes that ``mode`` lets reach the disk alone, in their order."""
        pending, draw = self.platter.pending, self.random
        if mode == "journal":
            last = draw.choice([0, *self.operations])
            return [change for change in pending if change.operation <= last or self._forced(change)]
        if mode == "ordered":
            folders = {parent(change.path) for change in pending}
            ends = {
                folder: draw.choice([0, *self.operations]) if draw.random() < 0.7 else self.platter.done
                for folder in sorted(folders)
            }
            return [change for change in pending if change.operation <= ends[parent(change.path)]]
        often = draw.choice((0.1, 0.5, 0.9))
        if mode == "any":
            return [change for change in pending if draw.random() < often]
        chosen = {operation for operation in self.operations if draw.random() < often}
        return [change for change in pending if change.operation in chosen or self._forced(change)]

    def _forced(self, change: Change) -> bool:
        # One half of a rename that happens whole is durable already.
        return change.rename and change.operation in self.platter.settled

    def plain(self, modes: Sequence[str]) -> Iterator[list[Change]]:
        """Give none of the changes, all of them, each alone, and all but each; a change is one entry or one rename."""
        pending = self.platter.pending
        if "any" in modes:
            forced: list[Change] = []
            units = [{change} for change in pending]
        else:
            forced = [change for change in pending if self._forced(change)]
            units = [{change for change in pending if change.operation == number} for number in self.operations]
        yield forced
        yield list(pending)
        for unit in units:
            yield [change for change in pending if change in unit or change in forced]
            yield [change for change in pending if change not in unit or change in forced]


def crashes(
    log: Sequence[Operation],
    *,
    seed: int,
    tries: int,
    start: int = 0,
    share: float = 1.0,
    modes: Sequence[str] = MODES,
) -> Iterator[State]:
    """Give states that a loss of power can leave, after each operation of a log, none of them twice.

    Args:
        log: what was done.
        seed: of what is drawn.
        tries: how many states are drawn after each operation; those that were given already are not given again.
        start: the first operation after which power may be lost.
        share: after how many of the operations it may be: 1 is after each.
        modes: what a loss of power may do, of ``MODES``.
    """
    platter = Platter()
    seen: set[int] = set()
    draw = random.Random(seed)
    for number, operation in enumerate(log):
        platter.apply(operation)
        if number < start or draw.random() >= share:
            continue
        for state in _drawn(platter, draw, tries, modes):
            if state.key not in seen:
                seen.add(state.key)
                yield state


def last_state(log: Sequence[Operation]) -> State:
    """Return the state at the end of a log, with nothing lost."""
    platter = Platter()
    for operation in log:
        platter.apply(operation)
    platter.synced = {inode: len(data) for inode, data in platter.contents.items()}
    return platter.state(platter.pending, MODES[0], random.Random(0), len(platter.databases) - 1)


def _drawn(platter: Platter, draw: random.Random, tries: int, modes: Sequence[str]) -> Iterator[State]:
    choice = Choice(platter, draw)
    newest = len(platter.databases) - 1
    plain = itertools.islice(choice.plain(modes), 1 + tries // 2)
    for number, kept in enumerate(plain):
        yield platter.state(kept, modes[-1], draw, newest if number % 2 else 0)
    for number in range(tries - min(tries // 2, 2 + 2 * len(platter.pending))):
        mode = modes[number % len(modes)]
        yield platter.state(choice.kept(mode), mode, draw, draw.randint(0, newest))

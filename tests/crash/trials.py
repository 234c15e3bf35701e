"""A scenario with one fault in it, on real files, and what must hold after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from layerwise.errors import LayerwiseError
from layerwise.store import disk as disks
from layerwise.store.disk import Disk
from tests.crash.faults import CALL_KINDS, KINDS, Fault, FaultyDisk, FaultyOs
from tests.crash.holds import Promise, look
from tests.crash.processes import Died
from tests.crash.scenarios import Scenario, Session, on_disk

SYNC = "fsync"
"""What may not fail in silence: without it nothing is promised."""

MOST = 2_000
"""More effects than any scenario has: a count that passes this is a fault of the test."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one fault came to: at which effect, and what is wrong after it."""

    kind: str
    at: int
    effect: str
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A repository with something in it, to be copied, and what was promised while it was made."""

    path: Path
    promises: tuple[Promise, ...]


@contextmanager
def template(prepare: Scenario) -> Iterator[Template]:
    """Give a repository that a scenario made."""
    with on_disk() as folder:
        promises: list[Promise] = []
        session = Session(folder / "template", Disk(folder / "template"), promises.append)
        prepare(session)
        session.close()
        yield Template(folder / "template", tuple(promises))


def trials(base: Template, scenario: Scenario, kinds: Sequence[str], *, calls: bool = False) -> Iterator[Trial]:
    """Run a scenario with each kind of fault at its first effect, at its second, and so on, until it ends without one.

    Args:
        base: the repository that it works on.
        scenario: what is done.
        kinds: of ``KINDS``, or of ``CALL_KINDS`` where ``calls``.
        calls: whether calls of the operating system fail, rather than the primitives of `Disk`.
    """
    assert set(kinds) <= set(CALL_KINDS if calls else KINDS)
    for kind in kinds:
        for at in range(1, MOST):
            trial = _trial(base, scenario, Fault(kind, at), calls)
            if trial is None:
                break
            yield trial
        else:
            raise AssertionError(f"{kind}: the scenario has no end")


def _trial(base: Template, scenario: Scenario, fault: Fault, calls: bool) -> Trial | None:
    path = base.path.parent / "trial"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(base.path, path)
    promises, at = list(base.promises), fault.at
    error = _strike(path, scenario, fault, promises, calls)
    if not fault.fired:
        if error is not None:
            raise error
        return None
    wrong = [*_odd(error, fault), *_after(path, scenario, promises)]
    return Trial(fault.kind, at, fault.fired, tuple(wrong))


def _strike(path: Path, scenario: Scenario, fault: Fault, promises: list[Promise], calls: bool) -> BaseException | None:
    faulty = FaultyDisk(path, fault)
    session = Session(path, Disk(path) if calls else faulty, promises.append)
    try:
        with _patched(fault) if calls else faulty.watching():
            scenario(session)
    except (Exception, Died) as error:
        return error
    finally:
        # As the end of a process does: nothing of it is left open.
        fault.dead, fault.at = False, -1
        session.close()
    return None


def _patched(fault: Fault) -> AbstractContextManager[Any]:
    return patch.object(disks, "os", FaultyOs(fault))


def _odd(error: BaseException | None, fault: Fault) -> Iterator[str]:
    if error is not None and not isinstance(error, (OSError, LayerwiseError, Died)):
        yield f"the error is {type(error).__name__}, neither an OSError nor ours: {error}"
    if error is None and fault.fired == SYNC and fault.kind in ("EIO", "ENOSPC"):
        yield f"{fault.fired} failed, and nobody was told"
    if fault.kind == "writes less" and error is not None:
        yield f"a write may write less than it was asked to at any time; this one raised {error}"


def _after(path: Path, scenario: Scenario, promises: list[Promise]) -> Iterator[str]:
    session, again = (Session(path, Disk(path), promises.append) for _ in range(2))
    try:
        yield from look(session.repo, promises)
        left = session.disk.list("tmp")
        if left:
            yield f"{len(left)} files are left in tmp"
        scenario(again)
        yield from look(session.repo, promises)
    except (LayerwiseError, OSError) as error:
        yield f"the repository cannot be opened and worked on again: {type(error).__name__}: {error}"
    finally:
        session.close()
        again.close()

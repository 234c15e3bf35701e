"""Locks of the operating system on open files, and waiting for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from layerwise.errors import Conflict


def try_lock(descriptor: int, *, shared: bool) -> bool:
    """Lock the file behind a descriptor if nobody hinders it; tell whether it is locked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # Windows has no shared lock here: writers take turns.
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock(descriptor: int) -> None:
    """Take the lock away."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def wait_for(attempt: Callable[[], bool], seconds: float, what: str) -> None:
    """Try until it is done, for so many seconds; raise Conflict, naming ``what``, where it is not."""
    end = time.monotonic() + seconds
    pause = 0.001
    while not attempt():
        if time.monotonic() >= end:
            raise Conflict(f"another process has held {what} for {seconds:g} seconds; try again when it has ended")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)

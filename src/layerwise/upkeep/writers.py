"""Which writers are still alive: a lease ends with its holder, where it can be seen that the holder is dead."""

from __future__ import annotations

import os
import platform
import sys

from layerwise.store.catalog.collector import Collector


def end_dead_writers(collector: Collector) -> None:
    """End the leases of processes of this machine that are no longer there; others end when their time is over.

    Should one be alive after all (where two machines have one name, say), what it publishes is refused, and it can
    begin again.
    """
    dead = [lease for lease, holder in collector.writers().items() if _is_dead(holder)]
    collector.end_leases(dead)


def _is_dead(holder: str) -> bool:
    host, _, process = holder.rpartition(":")
    # On Windows a signal, even none, ends a process.
    if host != platform.node() or not process.isdecimal() or sys.platform == "win32":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False

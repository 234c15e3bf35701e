"""What the system says of a file: which one it is, whose, and when it was last changed."""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What stays the same while nobody writes to a file, in the system's numbers; times in ns since 1970.

    Attributes:
        device, inode: which file it is.
        size: its length in bytes.
        written: when its bytes were changed last, as programs may say (mtime).
        touched: when it was changed last in any way, which no program can say (ctime).
    """

    device: int
    inode: int
    size: int
    written: int
    touched: int


def facts_of(found: os.stat_result) -> Facts | None:
    """Return the facts of a file; None of what is none, and on Windows, where ``st_ctime`` is when it was made."""
    if sys.platform == "win32" or not stat.S_ISREG(found.st_mode):
        return None
    return Facts(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def own_number() -> int:
    """Return the system's number of the user who runs this process; -1 where users have none, as on Windows."""
    return os.geteuid() if sys.platform != "win32" else -1


def hold_own(descriptor: int, name: str) -> None:
    """Raise FileNotFoundError where an open file is not this user's, or others may write to it."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o022 or found.st_uid != own_number():
        raise FileNotFoundError(errno.ENOENT, "others may have written to it", name)

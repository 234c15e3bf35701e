"""The names of files in a repository: made by Layerwise, held to a strict pattern; nothing a user wrote is one."""

from __future__ import annotations

import re

from layerwise.errors import InvalidName
from layerwise.words import shorten

_PART = r"[a-z0-9][a-z0-9_-]{0,99}"
_NAME = re.compile(rf"(?:{_PART}/){{0,3}}{_PART}(?:\.[a-z0-9]{{1,15}}(?:-wal|-shm)?)?\Z")


def check_file_name(name: str) -> str:
    """Return a name that Layerwise makes for a file, or raise InvalidName for one that it would not make."""
    if not isinstance(name, str) or len(name) > 400 or not _NAME.match(name):
        found = shorten(name) if isinstance(name, str) else type(name).__name__
        raise InvalidName(
            f"{found} is not the name of a file in a repository: expected up to four parts of a-z, 0-9, '_' and '-'"
        )
    return name

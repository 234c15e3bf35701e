"""``config.json``: what makes a folder, or a prefix of a bucket, a repository, and says of which format."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from layerwise import canonical
from layerwise.errors import InvalidFile, Unsupported
from layerwise.words import shorten

CONFIG = "config.json"
"""The file that makes a folder a repository."""

FORMAT = 2
"""The format that this Layerwise writes, and the newest that it reads; docs/format.md says what it is."""

MAX_CONFIG = 1_000_000
"""Longest config that is read, in bytes."""


def new_config() -> bytes:
    """Return the config of a new repository."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return canonical.encode({"created": created, "format": FORMAT, "id": secrets.token_hex(16)})


def read_config(data: memoryview, where: str) -> dict[str, Any]:
    """Return what the config of the repository at ``where`` says.

    Raises:
        InvalidFile: it is not one.
        Unsupported: it is of a newer format.
    """
    what = f"{where}/{CONFIG}"
    if len(data) > MAX_CONFIG:
        raise InvalidFile(f"{what} has {len(data):,} bytes; a repository's config has fewer than {MAX_CONFIG:,}")
    config: Any = canonical.decode(data, what)
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InvalidFile(f"{what} says format {shorten(str(found))}; expected a whole number from 1")
    if found > FORMAT:
        raise Unsupported(
            f"{where} is a repository of format {found} and this Layerwise reads up to {FORMAT}; "
            "install a newer Layerwise"
        )
    if not isinstance(config.get("id"), str):
        raise InvalidFile(f"{what} has no 'id'; put the file back from a copy of the repository")
    return dict(config)

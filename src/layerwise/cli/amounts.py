"""How long and how much, as a person writes them: ``30d``, ``2GB``."""

from __future__ import annotations

import re
from datetime import timedelta

from layerwise.errors import InvalidConfig
from layerwise.words import shorten

_AGE = re.compile(r"([0-9]{1,6})([dhm])\Z")
_SIZE = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))? ?([KMGT]?B)\Z", re.IGNORECASE)
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_POWERS = {"B": 0, "KB": 1, "MB": 2, "GB": 3, "TB": 4}


def age(text: str, option: str) -> timedelta | None:
    """Return how long ``text`` says; None for ``never``.

    Raises:
        InvalidConfig: it says no time; names the option.

    Example:
        >>> age("12h", "--cold-after")
        datetime.timedelta(seconds=43200)
    """
    if text == "never":
        return None
    match = _AGE.match(text)
    if match is None:
        raise InvalidConfig(f"{option} {shorten(text)} is no age; write 30d, 12h, 5m, 0d or never")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def size(text: str, option: str) -> int:
    """Return how many bytes ``text`` says; a KB is 1,000 of them, as everywhere in Layerwise.

    Raises:
        InvalidConfig: it says no size; names the option.

    Example:
        >>> size("1.5 GB", "--record-cap")
        1500000000
    """
    match = _SIZE.match(text.strip())
    if match is None:
        raise InvalidConfig(f"{option} {shorten(text)} is no size; write 500MB, 2GB or 1.5TB")
    whole, part, unit = match.groups()
    thousandths = int(whole) * 1000 + int(f"{part or ''}000"[:3])
    return thousandths * int(1000 ** _POWERS[unit.upper()]) // 1000

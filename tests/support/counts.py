"""Say what was tried and what went wrong: every "0 of N" with its bound, its seed and its machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def report(claim: str, tried: int, bad: int, *, seed: int | None = None, seconds: float | None = None) -> str:
    """Print one line and return it; append it to the file that ``LAYERWISE_COUNTS`` names, where it is set.

    Where nothing bad was seen in ``tried`` independent tries, 3 / ``tried`` bounds its probability with 95 % confidence
    (the rule of three); a complete enumeration says so by its claim and needs no bound.

    >>> report("lost versions", 100, 0, seed=7, seconds=1.5).split(",")[0]
    'lost versions: 0 of 100'
    """
    parts = [f"{claim}: {bad:,} of {tried:,}"]
    if tried and not bad:
        parts.append(f"95 % bound {3 / tried:.2g}")
    if seed is not None:
        parts.append(f"seed {seed}")
    if seconds is not None:
        parts.append(f"{seconds:.1f} s")
    parts.append(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    line = ", ".join(parts)
    print(line)
    if path := os.environ.get("LAYERWISE_COUNTS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return line

"""``layerwise version``: what is installed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import typer

from layerwise import __version__
from layerwise.cli import screen
from layerwise.cli.options import AsJson


def version(as_json: AsJson = False) -> None:
    """Print the versions of Layerwise, Python and PyTorch."""
    found = {"layerwise": __version__, "python": platform.python_version(), "torch": _of("torch")}
    if as_json:
        screen.print_json(found)
    else:
        screen.show(
            f"layerwise {found['layerwise']} (Python {found['python']}, PyTorch {found['torch'] or 'not installed'})"
        )


def answer(wanted: bool) -> None:
    """Print one line and end, for ``--version``."""
    if wanted:
        screen.show(f"layerwise {__version__}")
        raise typer.Exit


def _of(package: str) -> str | None:
    # From the installed metadata: importing torch takes seconds.
    try:
        return installed(package)
    except PackageNotFoundError:
        return None

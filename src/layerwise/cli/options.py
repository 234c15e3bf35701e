"""The options and arguments that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.errors import NotFound

if TYPE_CHECKING:
    from layerwise.repo import Repository

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document instead of tables.")]
Message = Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="Why: kept with the version.")]
Code = Annotated[
    list[Path] | None,
    typer.Option("--code", metavar="FILE.py", help="Run this Python file first, for kinds and modules of your own."),
]
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]
VersionOf = Annotated[
    str, typer.Argument(metavar="NAME[@REF]", help="A version: digits, digits@3, digits@champion, digits@1f3a6c.")
]
FromData = Annotated[str | None, typer.Option("--data", metavar="NAME[@N]", help="A dataset of the repository.")]

NO_REPOSITORY = (
    "there is no repository at {path}; `layerwise data add NAME FILE` makes one, "
    "and --repository PATH or LAYERWISE_REPOSITORY names one that is elsewhere"
)


def open_repository(context: typer.Context, *, make: bool = False) -> Repository:
    """Return the repository of this command, opened; only a command that adds data may make one.

    Raises:
        NotFound: there is none, with the cure.
    """
    from layerwise.repo import Repository, find_folder

    path = context.obj or find_folder()
    if not make and not has_repository(path):
        raise NotFound(NO_REPOSITORY.format(path=path))
    return Repository(path)


def has_repository(path: Path) -> bool:
    """Say whether ``path`` is a repository."""
    from layerwise.store.store import Store

    return Store.exists(path)

"""The options and arguments that several commands share, and what they mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import screen
from layerwise.errors import Damaged, NotFound
from layerwise.words import parse_version

if TYPE_CHECKING:
    from layerwise.engine.version import Version
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


def has_repository(path: Path | str) -> bool:
    """Say whether ``path`` is a repository."""
    from layerwise.store.store import Store

    return Store.exists(path)


def load(repo: Repository, address: str, code: list[Path] | None) -> Version:
    """Return a version, opened, with the user's own code in the program."""
    parts = parse_version(address)
    # Before torch is loaded: a wrong name is answered at once.
    repo.find(parts)
    with screen.waiting("loading PyTorch"):
        from layerwise.cli.code import run_code
        from layerwise.engine.version import load as opened

        run_code(code)
        return opened(address, repo=repo)


@contextlib.contextmanager
def looking(address: str) -> Iterator[None]:
    """Look at something of a version, with a word on the screen; say what to do where a record of it is damaged."""
    try:
        with screen.waiting(f"looking at {address}"):
            yield
    except Damaged as error:
        if "record of " not in str(error):
            raise
        version = address.partition("/")[0]
        raise Damaged(
            f"{error}. Or forget what is kept, so that it is computed: layerwise records {version} --forget"
        ) from None

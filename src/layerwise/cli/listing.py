"""``layerwise list``, ``log`` and ``alias``: which versions there are, read from manifests alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import screen
from layerwise.cli.options import AsJson, ModelName, open_repository
from layerwise.errors import Damaged, InvalidName
from layerwise.words import parse_version

if TYPE_CHECKING:
    from layerwise.repo import Repository
    from layerwise.store.rows import Entry
    from layerwise.versions.manifest import Manifest

MOST_METRICS = 2
"""Metrics shown in one cell."""

DAMAGED = "damaged: see layerwise verify"
"""What stands for the metrics of a version whose manifest cannot be read."""


def list_models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models: the newest version of each, its metrics, aliases, when and by whom."""
    with open_repository(context) as repo:
        found = [_described(repo, entry) for entry in repo.models()]
    if as_json:
        screen.print_json({"models": found})
    elif not found:
        screen.show("No models yet. Train one: layerwise train FILE.yaml")
    else:
        _print(found, "aliases", names=_all_names)


def log(context: typer.Context, name: ModelName, as_json: AsJson = False) -> None:
    """List the versions of a model, newest first: parent, metrics, run, message."""
    with open_repository(context) as repo:
        found = [_described(repo, entry) for entry in reversed(repo.versions(name))]
    if as_json:
        screen.print_json({"model": name, "versions": found})
    else:
        _print(found, "aliases", "from", "run", names=_own_names)


def _described(repo: Repository, entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {"metrics": {}, "data": None, "run": "", "outcome": "damaged", "epoch": 0}
    # One version that is damaged must not hide the others.
    with suppress(Damaged):
        manifest = repo.manifest(entry)
        said = {
            "metrics": dict(manifest.metrics), "data": data_address(manifest), "run": manifest.run,
            "outcome": manifest.outcome, "epoch": manifest.epoch,
        }  # fmt: skip
    return {
        "address": f"{entry.name}@{entry.number}", "name": entry.name, "number": entry.number, "digest": entry.digest,
        "parent": entry.parent, "aliases": repo.aliases(entry.name), **said,
        "created": entry.created, "actor": entry.actor, "message": entry.message,
    }  # fmt: skip


def data_address(manifest: Manifest) -> str | None:
    """Return the dataset version that a version was trained on, e.g. ``digits-data@1``."""
    data = manifest.data
    return f"{data['name']}@{data['number']}" if "name" in data and "number" in data else None


def _own_names(row: dict[str, Any]) -> list[str]:
    return [alias for alias, at in row["aliases"].items() if at == row["number"]]


def _all_names(row: dict[str, Any]) -> list[str]:
    return [f"{alias} → @{at}" for alias, at in row["aliases"].items()]


def _print(found: list[dict[str, Any]], *more: str, names: Callable[[dict[str, Any]], list[str]]) -> None:
    cells: dict[str, Callable[[dict[str, Any]], Any]] = {
        "version": lambda row: screen.words(row["address"], screen.NAME),
        "metrics": lambda row: DAMAGED if row["outcome"] == "damaged" else headline(row["metrics"]),
        "aliases": lambda row: ", ".join(names(row)),
        "from": lambda row: f"@{row['parent']}" if row["parent"] else "",
        "data": lambda row: row["data"],
        "run": lambda row: row["run"],
        "when (UTC)": lambda row: screen.moment(row["created"]),
        "who": lambda row: row["actor"],
        "message": lambda row: row["message"],
    }
    wanted = ["version", "metrics", *more, "data", "when (UTC)", "who", "message"]
    rows = [[cells[head](row) for head in wanted] for row in found]
    spare = ("who", "run", "data", "when (UTC)", "from")
    screen.show(screen.columns(*wanted, rows=rows, wide=["metrics", "aliases", "message"], spare=spare))


def headline(metrics: Mapping[str, float]) -> str:
    """Return the metrics that tell most in one cell: of the test rows, else of validation, else of training.

    >>> headline({"train/loss": 0.1, "test/loss": 0.2, "test/accuracy": 0.975})
    'test accuracy 0.975'
    """
    for split in ("test", "validation", "train"):
        found = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith(f"{split}/")}
        chosen = [name for name in found if name != "loss"][:MOST_METRICS] or list(found)[:1]
        if chosen:
            return f"{split} {', '.join(f'{name} {screen.number(found[name])}' for name in chosen)}"
    return ""


def alias(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME[@REF]", help="A version to name, or a model to list.")],
    name: Annotated[str | None, typer.Argument(metavar="[ALIAS]", help="The alias: champion, in-use …")] = None,
    drop: Annotated[bool, typer.Option("--drop", metavar="", help="Take the alias away; the version stays.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a version a movable name, or list a model's.

    An alias stands wherever a version does: layerwise show digits@champion.
    """
    with open_repository(context) as repo:
        address = parse_version(version)
        if name is None and (drop or address.version is not None):
            raise InvalidName(f"which alias? Write: layerwise alias {version} ALIAS{' --drop' if drop else ''}")
        entry = repo.find(version)
        before = repo.aliases(entry.name)
        if name is not None and drop:
            repo.drop_alias(entry.name, name)
        elif name is not None:
            repo.set_alias(version, name)
        after = repo.aliases(entry.name)
    if as_json:
        screen.print_json({"model": entry.name, "aliases": after})
    elif name is None:
        _list_aliases(entry.name, after)
    else:
        _say_alias(entry, name, before.get(name), dropped=drop)


def _list_aliases(model: str, aliases: Mapping[str, int]) -> None:
    if not aliases:
        screen.show(f"{model} has no aliases. Give one: layerwise alias {model}@1 champion")
        return
    rows = [[screen.words(f"{model}@{name}", screen.NAME), f"{model}@{number}"] for name, number in aliases.items()]
    screen.show(screen.columns("alias", "version", rows=rows))


def _say_alias(entry: Entry, name: str, before: int | None, *, dropped: bool) -> None:
    if dropped:
        screen.show(screen.line((f"{entry.name}@{name}", screen.NAME), f" is gone; it was {entry.name}@{before}"))
        return
    moved = f" (it was {entry.name}@{before})" if before not in (None, entry.number) else ""
    screen.show(screen.line((f"{entry.name}@{name}", screen.NAME), f" is now {entry.name}@{entry.number}{moved}"))

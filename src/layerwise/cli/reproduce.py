"""``layerwise reproduce``: a version made again from its manifest, and where it first differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import screen
from layerwise.cli.options import AsJson, Code, VersionOf, load, open_repository
from layerwise.words import visible

if TYPE_CHECKING:
    from layerwise.engine.reproduce import Reproduction


def reproduce(
    context: typer.Context,
    version: VersionOf,
    env: Annotated[
        bool, typer.Option("--env", metavar="", help="Print the commands that restore its environment.")
    ] = False,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Train a version again as its manifest says, and compare every layer after every epoch, bit for bit.

    Nothing is kept. Exit code 1 where it is not the same: the first epoch and layer that differ are named, by how
    much, and what of the environment is not as it was.
    """
    if env:
        _print_environment(context, version, as_json=as_json)
        return
    from layerwise.cli.progress import watch

    with open_repository(context) as repo:
        opened = load(repo, version, code)
        from layerwise.engine.reproduce import reproduce as again

        with watch() as watcher:
            found = again(opened, observers=[watcher])
    if as_json:
        screen.print_json(_json(found))
    else:
        _show(found)
    if not found:
        raise typer.Exit(1)


def _print_environment(context: typer.Context, version: str, *, as_json: bool) -> None:
    with open_repository(context) as repo:
        entry = repo.find(version)
        manifest = repo.manifest(entry)
        address = f"{entry.name}@{entry.number}"
        kept = manifest.environment
        environment = {} if kept is None else repo.json(kept, f"the environment of {address}")
    from layerwise.engine.reproduce import restore_commands

    commands = restore_commands(environment)
    if as_json:
        screen.print_json({"version": address, "environment": environment, "commands": commands})
    else:
        # To be run, so not wrapped to the screen.
        for command in commands:
            typer.echo(visible(command))


def _json(found: Reproduction) -> dict[str, Any]:
    first = None if found.first is None else {"epoch": found.first[0], "layer": found.first[1]}
    deviations = [{"layer": one.layer, "largest": one.largest, "relative": one.relative} for one in found.deviations]
    return {
        "version": found.version, "same": bool(found), "layers": found.layers, "epochs": found.epochs, "first": first,
        "deviations": deviations,
        "metrics": {name: {"then": then, "now": now} for name, (then, now) in found.metrics.items()},
        "environment": {name: {"then": then, "now": now} for name, (then, now) in found.environment.items()},
        "code": list(found.code), "seconds": found.seconds,
    }  # fmt: skip


def _show(found: Reproduction) -> None:
    counted = f"{screen.plural(found.layers, 'layer')}, {screen.plural(found.epochs, 'epoch')}"
    took = (f", {screen.duration(found.seconds)}", screen.FAINT)
    if found:
        screen.show(screen.line((found.version, screen.HEAD), ": ", ("the same to the bit", screen.GOOD),
                                f" ({counted})", took))  # fmt: skip
    else:
        screen.show(screen.line((found.version, screen.HEAD), ": ", ("not the same", screen.BAD), _where(found), took))
        _show_deviations(found)
    if found.environment:
        rows = [[name, then, now] for name, (then, now) in found.environment.items()]
        screen.show("", screen.columns("environment", "then", "now", rows=rows))
    if found.code:
        screen.show("", "code that is not as it was:", *(f"  {name}" for name in found.code))


def _where(found: Reproduction) -> str:
    from layerwise.engine.reproduce import epoch_said

    if found.first is None:
        return ""
    return f"; first at {found.first[1]}, {epoch_said(found.first[0])}"


def _show_deviations(found: Reproduction) -> None:
    rows = [[screen.words(one.layer, screen.NAME), f"{one.largest:.3g}", f"{one.relative:.3g}"]
            for one in found.deviations]  # fmt: skip
    if rows:
        heads = ("layer", "largest difference", "of its norm")
        screen.show("", screen.columns(*heads, rows=rows, right=heads[1:]))
    if found.metrics:
        rows = [[name, screen.number(then), screen.number(now)] for name, (then, now) in found.metrics.items()]
        screen.show("", screen.columns("metric", "then", "now", rows=rows, right=("then", "now")))

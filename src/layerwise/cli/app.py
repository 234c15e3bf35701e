"""The app: every command under its name, the global options, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from layerwise.cli import (
    collect,
    compare,
    data,
    failures,
    finding,
    follow,
    kinds,
    listing,
    look,
    records,
    reproduce,
    runs,
    show,
    stats,
    train,
    upkeep,
    use,
    version,
)  # fmt: skip
from layerwise.errors import LayerwiseError

HELP = """
Networks built as named layers: train them, keep every version, look into each layer.

A repository, the folder [bold].layerwise[/bold], keeps everything. It is the nearest one here or above.
"""


class Ordered(TyperGroup):
    """The commands as people meet them: data comes first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in their order."""
        return sorted(super().list_commands(ctx), key=lambda name: name != "data")


app = typer.Typer(
    name="layerwise",
    cls=Ordered,
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)

app.add_typer(data.app, name="data", rich_help_panel="Data")
app.command("train", rich_help_panel="Models")(train.train)
app.command("list", rich_help_panel="Models")(listing.list_models)
app.command("log", rich_help_panel="Models")(listing.log)
app.command("runs", rich_help_panel="Models")(runs.runs)
app.command("metrics", rich_help_panel="Models")(runs.metrics)
app.command("show", rich_help_panel="Models")(show.show)
app.command("alias", rich_help_panel="Models")(listing.alias)
app.command("evaluate", rich_help_panel="Use")(use.evaluate)
app.command("predict", rich_help_panel="Use")(use.predict)
app.command("reproduce", rich_help_panel="Use")(reproduce.reproduce)
app.command("export", rich_help_panel="Use")(use.export)
app.command("look", rich_help_panel="Look")(look.look)
app.command("trace", rich_help_panel="Look")(follow.trace)
app.command("compare", rich_help_panel="Look")(compare.compare)
app.command("nearest", rich_help_panel="Look")(finding.nearest)
app.command("top", rich_help_panel="Look")(finding.top)
app.command("stats", rich_help_panel="Look")(stats.stats)
app.command("records", rich_help_panel="Look")(records.records)
app.command("verify", rich_help_panel="Upkeep")(upkeep.verify)
app.command("gc", rich_help_panel="Upkeep")(collect.gc)
app.command("repair", rich_help_panel="Upkeep")(upkeep.repair)
app.command("kinds", rich_help_panel="Help")(kinds.kinds)
app.command("version", rich_help_panel="Help")(version.version)


@app.callback()
def settings(
    context: typer.Context,
    repository: Annotated[
        Path | None,
        typer.Option("--repository", envvar="LAYERWISE_REPOSITORY", metavar="PATH", help="The repository's folder."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", is_eager=True, callback=version.answer, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    context.obj = repository


# Typer shows its usage errors by this class of theirs alone; it re-exports only the child.
_Usage: type[Exception] = typer.BadParameter.__bases__[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0, 2 for a user's mistake, 130 after Ctrl-C with nothing kept.

    Args:
        arguments: the words after ``layerwise``; those of the process where not given.

    Example:
        >>> main(["version"])
        layerwise ...
        0
    """
    said = list(sys.argv[1:] if arguments is None else arguments)
    as_json = failures.wants_json(said)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets its escape, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(said, standalone_mode=False, prog_name="layerwise")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except LayerwiseError as error:
        return failures.say(error, as_json=as_json)
    except BrokenPipeError:
        return failures.quiet_pipe()
    except OSError as error:
        return failures.say_os(error, as_json=as_json)
    except _Usage as error:
        return failures.say_usage(error, as_json=as_json)

"""``layerwise show``: a version or a model's file, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import screen
from layerwise.cli.options import AsJson, Code, has_repository, open_repository

if TYPE_CHECKING:
    from layerwise.repo import Repository

ENDINGS = (".yaml", ".yml")


def show(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="NAME[@REF] | FILE.yaml", help="A version, or a model's file.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME[@N]", help="The dataset from which a file's shapes follow.")
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", metavar="", help="Print a Mermaid flowchart.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page that draws itself.")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", metavar="", help="Print the model's file.")] = False,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Show a model: its layers with shapes, parameters, state and owners; a version also with metrics and origin."""
    if sum([mermaid, yaml, as_json]) > 1:
        raise typer.BadParameter("--mermaid, --yaml and --json are three ways to print; choose one")
    if data is not None and not what.endswith(ENDINGS):
        raise typer.BadParameter("--data is for a model's file; a version knows the data that it was trained on")
    from layerwise.cli import anatomy

    if what.endswith(ENDINGS):
        found = anatomy.of_file(Path(what), lambda: _open(context), data, code)
    else:
        with open_repository(context) as repo:
            found = anatomy.of_version(repo, what, code)
    if html is not None:
        anatomy.write_html(found, html)
    if mermaid or yaml:
        # Not through Rich: this is a file's text, for another program.
        screen.print_raw(anatomy.mermaid(found) if mermaid else anatomy.yaml(found))
    elif as_json:
        screen.print_json(anatomy.to_json(found))
    elif html is None:
        from layerwise.cli.portrait import portrait

        screen.show(*portrait(found, screen.paper().width))
    else:
        screen.show(screen.line((str(html), screen.NAME), f" shows {found.title}"))


def _open(context: typer.Context) -> Repository | None:
    # A file can be shown where there is no repository: then without the shapes that data would tell.
    from layerwise.repo import find_folder

    return open_repository(context) if has_repository(context.obj or find_folder()) else None

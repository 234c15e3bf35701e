"""``layerwise kinds``: what a layer can do, with every option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from layerwise.cli import screen
from layerwise.cli.options import AsJson, Code

if TYPE_CHECKING:
    from layerwise.cli.catalogue import About, Option

ROLES = {
    "data": "Data layers run on rows, before anything learns by gradient",
    "neural": "Neural layers learn by gradient",
    "answer": "Answer layers own loss, metrics and decoding",
}
"""The roles in their order, with a sentence each."""


def kinds(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One kind, to see its options.")] = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """List what a layer can do, or the options of one kind."""
    with screen.waiting("loading PyTorch"):
        from layerwise.cli.catalogue import every_kind, one_kind
        from layerwise.cli.code import run_code

        run_code(code)
        found = every_kind() if name is None else [one_kind(name)]
    if as_json:
        screen.print_json({"kinds": found} if name is None else {"kind": found[0]})
    elif name is None:
        screen.show(*_listed(found))
    else:
        screen.show(*_described(found[0]))


def _listed(found: list[About]) -> Iterator[RenderableType]:
    from layerwise.cli.catalogue import by_group

    for role, sentence in ROLES.items():
        yield screen.line((sentence, screen.HEAD))
        own = [about for about in found if about.role == role and not about.group]
        yield _table([(screen.words(about.name, screen.NAME), about.does) for about in own])
        yield ""
    yield screen.line(("Every layer of torch.nn, as torch.nn.NAME", screen.HEAD))
    names = {
        group: ", ".join(about.name.rpartition(".")[2] for about in kinds) for group, kinds in by_group(found).items()
    }
    yield _table([(screen.words(group, screen.NAME), listed) for group, listed in names.items()])
    yield ""
    yield screen.line(("Options of one: layerwise kinds NAME", screen.FAINT))


def _table(rows: list[tuple[RenderableType, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row("", "") if not name else table.add_row(name, screen.words(text))
    return table


def _described(about: About) -> Iterator[RenderableType]:
    yield screen.line((about.title, screen.HEAD), (f"  {about.role}", screen.FAINT))
    yield about.does
    yield ""
    if about.options:
        # Torch's own options have no meanings here: its own documentation has.
        heads = ["option", "type", "default", "meaning"][: 4 if any(option.meaning for option in about.options) else 3]
        rows = [_option(option)[: len(heads)] for option in about.options]
        yield screen.columns(*heads, rows=rows, wide=["type", "meaning"])
    else:
        yield "It takes no options."
    yield ""
    given = ", ".join(f"{option.name}: …" for option in about.options if not option.default)
    yield screen.line(("In a file: ", screen.FAINT), f"NAME: {{kind: {about.name}{', ' if given else ''}{given}}}")


def _option(option: Option) -> list[str | Text]:
    default = option.default or screen.words("required", "yellow")
    return [screen.words(option.name, screen.NAME), option.type, default, option.meaning]

"""Makes docs/kinds.md from the registry: ``python tests/support/kinds_page.py > docs/kinds.md``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from layerwise.cli.catalogue import About, Option, by_group, every_kind

HEAD = """\
# Kinds

<!-- Made from the registry by scripts/docs; a test compares the two. -->

Every kind of layer, with its options. `layerwise kinds NAME` says the same on the screen. A kind stands in a file under
this name; in Python it is the class in `lw`, where there is one.
"""

ROLES = {
    "data": "Data layers run on rows, before anything learns by gradient.",
    "neural": "Neural layers learn by gradient.",
    "answer": "Answer layers own loss, metrics and decoding.",
}

TORCH = """\
## Layers of torch

Every class of `torch.nn` that is a layer stands under its own name, `torch.nn.Conv2d`, with its own options (PyTorch's
documentation says what they mean; `layerwise kinds Conv2d` lists them) and `activation`. Sizes that follow from the
inputs are not written.
"""

HIDDEN = frozenset({"part", "wrapped"})
"""What only ``lw.wrap`` makes."""


def page() -> str:
    """Return the page."""
    found = every_kind()
    own = [about for about in found if not about.group and about.name not in HIDDEN]
    parts = [HEAD]
    for role, sentence in ROLES.items():
        kinds = [about for about in own if about.role == role]
        parts.append(f"## {role.capitalize()}\n\n{sentence}\n")
        parts += [_kind(about) for about in kinds]
    parts.append(TORCH)
    groups = by_group(found)
    rows = [
        (group, ", ".join(f"`{about.name.rpartition('.')[2]}`" for about in kinds)) for group, kinds in groups.items()
    ]
    parts.append(_table(("family", "classes"), rows))
    return "\n".join(parts)


def _kind(about: About) -> str:
    said = f"### {about.name}\n\n{_cell(about.does)}.\n"
    if not about.options:
        return f"{said}\nIt takes no options.\n"
    return f"{said}\n{_table(('option', 'type', 'default', 'meaning'), [_option(option) for option in about.options])}"


def _option(option: Option) -> tuple[str, str, str, str]:
    default = "required" if not option.default else option.default
    return (
        f"`{option.name}`",
        option.type,
        default if default in ("required", "nothing") else f"`{default}`",
        option.meaning,
    )


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return inspect.cleandoc(text).replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    print(page(), end="")

"""A model as a card of HTML for notebooks: nothing from outside, no script, light and dark."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping

from layerwise.graph.graph import INPUT, Graph
from layerwise.graph.kinds import Role
from layerwise.graph.ports import Port
from layerwise.graph.rows import LayerRow, rows
from layerwise.graph.table import cut, notes
from layerwise.words import visible

ROLES: tuple[Role, ...] = ("data", "neural", "answer")

MOST_OPEN = 60
"""A model of more layers shows its blocks closed; a click opens one."""

_LIGHT = """
color-scheme: light; --ground: #fbfbfd; --face: #ffffff; --ink: #1d1c26; --quiet: #5d5b6a; --line: #dfdde8;
--data: #0f766e; --neural: #5b48c2; --answer: #a34d08; --chip: #f1f0f6;
"""
_DARK = """
color-scheme: dark; --ground: #17161d; --face: #211f2a; --ink: #eceaf4; --quiet: #a8a5b8; --line: #383545;
--data: #5ecec2; --neural: #aa9cf8; --answer: #f2b366; --chip: #2d2a39;
"""

# The page's own theme comes last: it may differ from the system's.
STYLE = f"""
.lw-card {{ {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ .lw-card {{ {_DARK} }} }}
[data-jp-theme-light="true"] .lw-card, .vscode-light .lw-card {{ {_LIGHT} }}
[data-jp-theme-light="false"] .lw-card, .vscode-dark .lw-card {{ {_DARK} }}
.lw-card {{ box-sizing: border-box; max-width: 100%; padding: 14px 16px 16px; border: 1px solid var(--line);
  border-radius: 12px; background: var(--ground); color: var(--ink);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
.lw-card * {{ box-sizing: border-box; }}
.lw-card .lw-title {{ display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 10px; margin: 0 0 12px; }}
.lw-card .lw-title b {{ font-size: 16px; letter-spacing: -.01em; }}
.lw-card .lw-quiet {{ color: var(--quiet); }}
.lw-card .lw-groups {{ display: flex; flex-wrap: wrap; gap: 14px 22px; }}
.lw-card .lw-group {{ min-width: 0; --hue: var(--quiet); }}
.lw-card .lw-data {{ --hue: var(--data); }}
.lw-card .lw-neural {{ --hue: var(--neural); }}
.lw-card .lw-answer {{ --hue: var(--answer); }}
.lw-card .lw-role {{ display: flex; align-items: center; gap: 8px; margin: 0 0 6px; color: var(--hue);
  font-size: 11px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; }}
.lw-card .lw-role::after {{ content: ""; flex: 1; height: 1px; background: var(--hue); opacity: .35; }}
.lw-card ol {{ display: flex; flex-wrap: wrap; align-items: stretch; gap: 8px; margin: 0; padding: 0;
  list-style: none; }}
.lw-card li {{ position: relative; min-width: 92px; max-width: 220px; margin: 0 0 0 14px; padding: 7px 10px 8px;
  border: 1px solid var(--line); border-top: 3px solid var(--hue); border-radius: 8px; background: var(--face); }}
.lw-card li::marker {{ content: ""; }}
.lw-card li.lw-straight::before {{ content: "→"; position: absolute; left: -18px; top: 50%;
  transform: translateY(-50%); color: var(--quiet); }}
.lw-card li.lw-block {{ max-width: 100%; background: transparent; }}
.lw-card li.lw-block:has(> details[open]) {{ flex: 1 1 100%; }}
.lw-card li.lw-block.lw-straight::before {{ top: 16px; }}
.lw-card li.lw-frozen {{ border-style: dashed; border-top-style: solid; }}
.lw-card summary {{ cursor: pointer; }}
.lw-card summary > div {{ display: inline-flex; flex-wrap: wrap; align-items: baseline; gap: 0 12px;
  max-width: calc(100% - 20px); vertical-align: top; }}
.lw-card summary .lw-chips {{ margin-top: 0; }}
.lw-card details > ol {{ margin: 8px 0 2px; }}
.lw-card .lw-name {{ font-weight: 600; overflow-wrap: anywhere; }}
.lw-card .lw-kind {{ color: var(--hue); overflow-wrap: anywhere; }}
.lw-card .lw-mono {{ font: 11px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--quiet);
  overflow-wrap: anywhere; unicode-bidi: isolate; }}
.lw-card .lw-options span {{ display: inline-block; margin-right: 6px; }}
.lw-card .lw-shape {{ color: var(--ink); }}
.lw-card .lw-chips {{ display: flex; flex-wrap: wrap; gap: 4px; margin-top: 4px; }}
.lw-card .lw-chip {{ padding: 0 7px; border-radius: 99px; background: var(--chip); color: var(--ink);
  font-size: 11px; unicode-bidi: isolate; }}
"""


def card(graph: Graph, ports: Mapping[str, Port] | None = None, parameters: Mapping[str, int] | None = None) -> str:
    """Return the model as HTML: its layers from left to right, grouped by role, blocks that open and close.

    Args:
        graph: the model.
        ports: what leaves each layer, by path, as ``shapes.check`` returns it.
        parameters: how many numbers each layer learns, by path.
    """
    found = rows(graph, ports, parameters)
    by_role = {role: [row for row in found if not row.parent and row.role == role] for role in ROLES}
    # Data never follows a neural layer, nor a layer the answer: in this order, too, inputs come first.
    outer = [row for siblings in by_role.values() for row in siblings]
    drawn = _layers(outer, found, first="")
    groups = "".join(
        f'<div class="lw-group lw-{role}"><div class="lw-role">{role}</div>'
        f"<ol>{''.join(drawn[row.path] for row in siblings)}</ol></div>"
        for role, siblings in by_role.items()
        if siblings
    )
    name = _text(graph.name)
    return (
        f'<div class="lw-card" role="figure" aria-label="the model {name}"><style>{STYLE}</style>'
        f'<div class="lw-title"><b>{name}</b><span class="lw-quiet">{_about(graph, found)}</span></div>'
        f'<div class="lw-groups">{groups}</div></div>'
    )


def _text(shown: str) -> str:
    return html.escape(visible(shown))


def _about(graph: Graph, found: list[LayerRow]) -> str:
    learned = sum(row.parameters or 0 for row in found)
    said = [f"{len(found)} layer{'' if len(found) == 1 else 's'}"]
    said += [f"for {_text(graph.data)}"] if graph.data else []
    said += [f"{learned:,} parameters"] if learned else []
    return " · ".join(said)


def _layers(siblings: list[LayerRow], found: list[LayerRow], *, first: str) -> dict[str, str]:
    before = [first, *(row.name for row in siblings)]
    return {row.path: _layer(row, previous, found) for row, previous in zip(siblings, before, strict=False)}


def _layer(row: LayerRow, previous: str, found: list[LayerRow]) -> str:
    follows = row.inputs == (previous,)
    classes = {"lw-straight": follows and previous != INPUT, "lw-block": row.block, "lw-frozen": row.frozen}
    said = "".join(_said(row, follows))
    if row.block:
        inner = [other for other in found if other.parent == row.path]
        opened = " open" if len(found) <= MOST_OPEN else ""
        drawn = "".join(_layers(inner, found, first=INPUT).values())
        said = f"<details{opened}><summary><div>{said}</div></summary><ol>{drawn}</ol></details>"
    return f'<li class="{" ".join(name for name, holds in classes.items() if holds)}">{said}</li>'


def _said(row: LayerRow, follows: bool) -> Iterator[str]:
    yield f'<div class="lw-name">{_text(row.name)}</div><div class="lw-kind">{_text(row.kind)}</div>'
    if row.options:
        spans = " ".join(f'<span title="{_text(said)}">{_text(cut(said, 60))}</span>' for said in row.options)
        yield f'<div class="lw-mono lw-options">{spans}</div>'
    if row.output:
        yield f'<div class="lw-mono lw-shape">{_text(row.output)}</div>'
    if row.inputs and not follows:
        yield f'<div class="lw-mono lw-takes">takes {_text(", ".join(row.inputs))}</div>'
    chips = [f"{row.parameters:,} parameters"] if row.parameters is not None else []
    chips += notes(row)
    if chips:
        spans = "".join(f'<span class="lw-chip">{_text(chip)}</span>' for chip in chips)
        yield f'<div class="lw-chips">{spans}</div>'

"""``--record`` and what goes with it: what ``train`` and ``evaluate`` keep of what leaves the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from layerwise.engine.recording.asked import Recording

Record = Annotated[
    str | None,
    typer.Option(
        "--record",
        metavar="WHAT",
        help="What is kept of what leaves the layers: sample:N rows, all, stats, or off.",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option("--layers", metavar="PATTERNS", help="Record these layers alone: edges,stage1.*"),
]
Dtype = Annotated[
    str | None,
    typer.Option("--record-dtype", metavar="DTYPE", help="Keep records as float16; as the layers made them if not."),
]
Cap = Annotated[str | None, typer.Option("--record-cap", metavar="SIZE", help="Keep at most this: 500MB, 2GiB.")]
Age = Annotated[str | None, typer.Option("--record-age", metavar="AGE", help="Forget records after this: 90d, 12h.")]
Gradients = Annotated[
    bool,
    typer.Option("--gradients", metavar="", help="Keep the gradient of the loss by what left each layer, too."),
]
Attention = Annotated[bool, typer.Option("--attention", metavar="", help="Keep the weights of attention layers, too.")]


def asked(
    said: str | None, *, gradients: bool = False, attention: bool = False, **more: str | None
) -> Recording | None:
    """Return what the options ask for; None where they say nothing, so that the model's own settings hold.

    Args:
        said: what ``--record`` says.
        gradients: whether ``--gradients`` stands there.
        attention: whether ``--attention`` stands there.
        **more: ``layers``, ``dtype``, ``cap`` and ``age`` as they were written.

    Raises:
        InvalidConfig: what cannot be recorded, with the nearest that can.
    """
    given: dict[str, Any] = {key: value for key, value in more.items() if value is not None}
    given |= {key: True for key, value in (("gradients", gradients), ("attention", attention)) if value}
    if said is None and not given:
        return None
    from layerwise.engine.recording.asked import Recording

    return Recording.parse("sample:256" if said is None else said, **given)

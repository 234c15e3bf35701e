"""Every exception of Layerwise, drawn as a tree::

    LayerwiseError
    ├── Invalid(ValueError)              what the user gave cannot be used
    │   ├── InvalidName                  a name, digest or address breaks the grammar
    │   ├── InvalidGraph                 a cycle, a missing input, a name given twice
    │   ├── InvalidLayer                 an unknown kind, a wrong option, code that is not in the program
    │   ├── InvalidShape                 what a layer gets is not what it wants
    │   ├── InvalidFile                  a file that cannot be read as what it says it is (names file and line)
    │   ├── InvalidData                  a column, row, value or label that cannot be used
    │   └── InvalidConfig                a training setting that cannot be used
    ├── NotFound(KeyError)               no such model, version, layer, dataset, row (absent and forbidden alike)
    ├── Conflict                         somebody else changed it first, or holds it
    │   ├── Moved                        somebody else moved the name: look again and try on top of it
    │   └── Expired                      a writer was silent for too long: write again
    ├── Damaged(OSError)                 bytes in the repository are not what their digest says
    ├── Unreachable(OSError)             an object store did not answer, or refused
    ├── Unsupported                      a repository or file of a newer format
    └── Missing(ImportError)             an optional package is not installed (names the extra)

A message names the layer or the file and line, what was found, what was expected, and the cure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LayerwiseError(Exception):
    """Base of every exception that Layerwise raises on purpose. Its text is written for a person."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class Invalid(LayerwiseError, ValueError):
    """What the user gave cannot be used.

    Attributes:
        layer: the path of the layer that the message names, where it names one.
        file: the file that the message names, where it names one.
    """

    layer: str | None = None
    file: str | None = None


class InvalidName(Invalid):
    """A name, digest or address breaks the grammar."""


class InvalidGraph(Invalid):
    """The layers do not make a graph: a cycle, a missing input, a name given twice."""


class InvalidLayer(Invalid):
    """A layer cannot be made: unknown kind, wrong option, code that is not in the running program."""


class InvalidShape(Invalid):
    """What a layer gets is not what it wants."""


class InvalidFile(Invalid):
    """A file cannot be read as what it says it is."""


class InvalidData(Invalid):
    """A column, row, value or label cannot be used."""


class InvalidConfig(Invalid):
    """A training setting cannot be used."""


class NotFound(LayerwiseError, KeyError):
    """There is no such thing here, or the asker may not know of it."""


class Conflict(LayerwiseError):
    """Somebody else changed it first."""


class Moved(Conflict):
    """Somebody else moved the name first: look at what is new and try on top of it."""


class Expired(Conflict):
    """A writer's lease ended while it was silent: what it relied on may be gone, and it must write again."""


class Damaged(LayerwiseError, OSError):
    """Bytes in the repository are not what their digest says."""


class Unreachable(LayerwiseError, OSError):
    """An object store did not answer, or refused; the message says what is known of a write."""


class Unsupported(LayerwiseError):
    """The repository or file is of a newer format than this Layerwise reads."""


class Missing(LayerwiseError, ImportError):
    """An optional package is not installed."""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'right'?"`` for the nearest known name, else a short list of what there is, else "".

    >>> nearest("scael", ["scale", "clip"])
    " Did you mean 'scale'?"
    """
    names = sorted(set(known))
    lowered = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(wrong[:100].lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {lowered[close[0]]!r}?"
    if not names:
        return ""
    # A known name may be a column's: whatever stands in it, a message must not act on the terminal.
    shown = ", ".join(repr(name[:60])[1:-1] for name in names[:12])
    return f" There is: {shown}{', …' if len(names) > 12 else ''}."

"""What is made of a record to answer faster: made when first asked for, kept as an object of its own beside the set.

It is registered with the set: a collection keeps it as long as the set, and to forget the set is to forget it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from layerwise.errors import LayerwiseError
from layerwise.records.reading import LayerRecord
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, frame, unframe

MIN_ROWS = 4096
"""Of fewer rows nothing is kept: to make it anew takes no longer than to find it."""

Tensors = Mapping[str, RawTensor]
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and shape by name."""


def made_of(store: Store, record: LayerRecord, name: str, shapes: Shapes, make: Callable[[], Tensors]) -> Tensors:
    """Return what was made of a record, or make it and keep it.

    Args:
        store: the repository.
        record: of what.
        name: which it is, with its version: ``units.v1``.
        shapes: what it must be; anything else is made anew.
        make: makes it.
    """
    part = f"{name}:{record.track.what}:{record.track.layer}"
    if record.rows < MIN_ROWS:
        return make()
    if part in record.made:
        return record.made[part]
    row = store.catalog.recordings.part(record.digest, part)
    if row is not None:
        # What is damaged is made anew, and `layerwise verify` finds it.
        with suppress(LayerwiseError):
            found = unframe(store.objects.get(row.digest), f"the {name} of {record!r}")
            if {key: (tensor.dtype, tensor.shape) for key, tensor in found.items()} == dict(shapes):
                # Whoever has the record at hand asks the catalog no second time: half of what a question costs.
                record.made[part] = found
                return found
    made = record.made[part] = make()
    # It is an answer's speed and not the answer: on a full disk, or where nothing may be written, it is made each time.
    with suppress(OSError, LayerwiseError):
        _keep(store, record, part, made)
    return made


def _keep(store: Store, record: LayerRecord, part: str, made: Tensors) -> None:
    kept, size = record.kept, sum(len(tensor.data) for tensor in made.values())
    with store.objects.writing() as writer:
        digest = writer.put(frame(made))
        row = Recording(record.digest, part, digest, kept.about.version, size, kept.created, kept.expires)
        writer.publish_recording(row, names={digest})

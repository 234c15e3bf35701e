"""One layer of a version: what left it for any rows, read where it is kept and computed where it is not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from layerwise.engine.looking.asking import Looked, Looking
from layerwise.engine.looking.attribution import Attribution, attribute
from layerwise.engine.looking.kept import row_of
from layerwise.engine.looking.neighbours import Neighbours, nearest_rows
from layerwise.engine.looking.opened import hold_layer
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.looking.tables import LayerStats, as_frame, stats_of
from layerwise.engine.looking.units import TopRows, Unit, top_rows
from layerwise.errors import NotFound
from layerwise.records.reading import LayerRecord


class LayerView:
    """One layer of a version: ``version.layer("edges")``.

    Args:
        looking: what the views of the version share.
        path: the layer's path; ``name:2`` for a later pass.

    Raises:
        NotFound: no such layer, with the nearest.

    Example::

        edges = version.layer("edges")
        edges.record(17).shape            # torch.Size([16, 8, 8])
        edges.record([3, 4]).shape        # torch.Size([2, 16, 8, 8])
        edges.look(17).source             # 'kept'
    """

    def __init__(self, looking: Looking, path: str) -> None:
        self.looking = looking
        self.path = hold_layer(looking.opened, path)
        self._first: LayerRecord | None = None

    @property
    def address(self) -> str:
        """The layer's address: ``digits@3/edges``."""
        return f"{self.looking.opened.address}/{self.path}"

    def __repr__(self) -> str:
        return f"<Layer {self.address}>"

    def record(self, rows: Any = None) -> Any:
        """Return what left the layer for rows: the value of one row [...], or the values of many [rows, ...].

        Args:
            rows: as for ``look``.

        Raises:
            NotFound, InvalidData: as ``look``.
        """
        if type(rows) is int and rows >= 0 and self._first is not None:
            slot = self._first.slot(rows)
            if slot >= 0:
                return row_of(self._first, slot)
        return self.look(rows).value

    def look(self, rows: Any = None, *, exact: bool = False) -> Looked:
        """Return what left the layer for rows, with where it comes from and the rows' ids.

        Args:
            rows: a position in the version's dataset (negative from the end), a row's id, a Row, a slice, a mask, a
                list or array of positions or ids; or rows from elsewhere: a dict, a list of dicts, a frame, an Arrow
                table, which are always computed. None: the rows that are kept, else a sample of the validation rows.
            exact: compute where what is kept was rounded to float16.

        Raises:
            NotFound: a row, or what the name of the layer means for it, is not there.
            InvalidData: rows that do not fit what the version was trained on, naming column and type.
            Damaged: a record is not what it was.
        """
        looking = self.looking
        chosen = looking.rows(self.path) if rows is None else self._served(rows)
        if isinstance(chosen, Looked):
            return chosen
        found = looking.look(self.path, chosen, exact=exact)
        self._remember()
        return found

    def frame(self, rows: Any = None) -> Any:
        """Return what left the layer for rows as a pandas frame: one column a number, the rows' ids as its index.

        Args:
            rows: as for ``look``.

        Raises:
            Missing: pandas is not installed.
            InvalidData: more columns than a frame is good for.
        """
        return as_frame(self.look(rows))

    def stats(self, rows: Any = None) -> LayerStats:
        """Return what the layer looked like along the training, and for rows what each of its units is like.

        Args:
            rows: as for ``look``.
        """
        return stats_of(self.looking, self.look(rows))

    def top(self, unit: Unit = 0, k: int = 20, *, lowest: bool = False, rows: Any = None) -> TopRows:
        """Return the rows that excite a unit most, or least: exact, over all rows that are kept.

        Args:
            unit: its number; of maps a map, in which the largest place counts, of steps a feature, in which the
                largest step does; or one place: ``(3, 1, 0)``; or its name, where units have names.
            k: how many.
            lowest: whether those with the lowest values are wanted.
            rows: among which, as for ``look``.

        Raises:
            NotFound: no such unit, with the nearest, or with how many there are.
        """
        return top_rows(self.looking, self.path, unit, k, lowest=lowest, among=rows)

    def nearest(self, row: Any, k: int = 10, *, metric: str = "euclidean", rows: Any = None) -> Neighbours:
        """Return the rows that are nearest to one as they leave the layer: exact, over all rows that are kept.

        Args:
            row: one row, as for ``look``; also one that is not in the dataset. It is not its own neighbour.
            k: how many.
            metric: ``euclidean``, or ``cosine``: 1 less the cosine of the angle between the rows.
            rows: among which, as for ``look``.

        Raises:
            InvalidData: the layer gives no numbers, or the row has some that are not finite.
        """
        return nearest_rows(self.looking, self.path, row, k, metric=metric, among=rows)

    def attribute(
        self, rows: Any, target: Any = None, *, method: str = "integrated_gradients", **options: Any
    ) -> Attribution:  # fmt: skip
        """Return how much of the answer rests on each number that leaves the layer, by Captum.

        Args:
            rows: as for ``look``.
            target: the class, or the place of the number, that is explained; where not given, what each row answers.
            method: ``integrated_gradients``, ``gradient_x_activation``, ``gradient``, ``deeplift``,
                ``internal_influence`` or ``ablation``.
            **options: ``baseline`` (what left the layer "for nothing": a number or a tensor; 0) and ``steps``.

        Raises:
            Missing: Captum is not installed.
            InvalidData: whole numbers leave the layer; names the first layer after it that can be asked.
        """
        return attribute(self.looking, self.path, rows, target, method=method, **options)

    def _served(self, rows: Any) -> Chosen | Looked:
        """Return the rows; or what is kept of a row that is in no dataset, by its id."""
        try:
            return self.looking.choose(rows)
        except NotFound:
            found = self.looking.kept(self.path).of_id(rows) if isinstance(rows, str) else None
            if found is None:
                raise
            return Looked(self.path, found, "kept", (), 1, Chosen(True, table=pa.table({"id": [rows]})))

    def _remember(self) -> None:
        """Have the widest record at hand: of a single row, nothing more is looked up than where it is."""
        widest = self.looking.widest(self.path)
        self._first = widest if widest is not None and widest.track.type == "tensor" else None

"""Datasets: named tables with versions, kept in blocks, read a block at a time."""

from layerwise.data.dataset import Added, Dataset, Row, add, as_table, open_dataset
from layerwise.data.diff import ChangedRow, DataDiff, diff
from layerwise.data.split import Split, split_rows
from layerwise.data.statistics import ColumnStatistics

__all__ = [
    "Added",
    "ChangedRow",
    "ColumnStatistics",
    "DataDiff",
    "Dataset",
    "Row",
    "Split",
    "add",
    "as_table",
    "diff",
    "open_dataset",
    "split_rows",
]

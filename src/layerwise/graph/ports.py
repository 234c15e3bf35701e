"""What travels on a wire between two layers, as far as it is known before any row is read."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = "string"
BYTES = "binary"
RECORD = "record"


@dataclass(frozen=True, slots=True)
class Port:
    """The type of one row of what leaves a layer.

    Attributes:
        dtype: ``float32``, ``int64``, ``bool`` … for numbers; ``string``, ``binary``, ``timestamp`` … for what is
            not encoded yet; ``list<int64>``, ``list<string>`` for rows of different lengths; ``record`` for texts of
            several columns.
        shape: the shape of one row, without the batch; ``None`` in it is a size that is learned from the data.
        padded: the first dimension is a sequence, and every row carries its true length.
        size: how many different whole numbers there can be (categories, a vocabulary); None where unknown.

    Example:
        >>> str(Port("float32", (1, 8, 8)))
        'float32[batch, 1, 8, 8]'
        >>> str(Port("int64", (20,), padded=True, size=500))
        'int64[batch, 20] padded of 500 values'
    """

    dtype: str
    shape: tuple[int | None, ...] = ()
    padded: bool = False
    size: int | None = None

    @property
    def numeric(self) -> bool:
        """Whether the values are in a tensor, ready for a neural layer."""
        return self.dtype in NUMBERS

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in ("batch", *self.shape))
        text = f"{self.dtype}[{sizes}]" if self.numeric else self.dtype
        text += " padded" if self.padded else ""
        return text if self.size is None else f"{text} of {self.size} values"


NUMBERS = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"})
"""The dtypes that a tensor holds."""

"""One value of Arrow as Python's own, also where Python's own types cannot hold it.

>>> plain(pa.scalar(41)), plain(pa.scalar(10**18, pa.timestamp("us")))
(41, np.datetime64('33658-09-27T01:46:40.000000'))
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def plain(value: pa.Scalar) -> Any:
    """Return a value as Python's own; a date or time that Python does not reach, or nanoseconds, as NumPy's."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        # Python's dates end with the year 9999, and nanoseconds it has only with pandas.
        if not pa.types.is_temporal(value.type):
            raise
        return pa.array([value], value.type).to_numpy(zero_copy_only=False)[0]

"""Write the sunspots that statsmodels ships: ``python make_data.py sunspots.csv`` writes it, and next.csv beside it.

In next.csv are the last 24 years and one more, whose number is not known: what to ask a trained model for.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import statsmodels.api as sm


def make_data(path: Path) -> Path:
    """Write ``path`` (``year`` from 1700 to 2008, ``sunspots``: the year's mean number) and ``next.csv`` beside it."""
    table = sm.datasets.sunspots.load_pandas().data
    years = pd.DataFrame({"year": table["YEAR"].astype(int), "sunspots": table["SUNACTIVITY"]})
    path.parent.mkdir(parents=True, exist_ok=True)
    years.to_csv(path, index=False)
    unknown = pd.DataFrame({"year": [years["year"].iloc[-1] + 1], "sunspots": [None]})
    pd.concat([years.tail(24), unknown.astype(years.dtypes.to_dict())]).to_csv(path.with_name("next.csv"), index=False)
    return path


if __name__ == "__main__":
    print(f"wrote {make_data(Path(sys.argv[1]))}")

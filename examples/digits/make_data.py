"""Write the scans that scikit-learn ships: ``python make_data.py digits.npz`` writes digits.npz and unseen.npz.

The last ten scans go to unseen.npz, without their digits: rows that no model has ever seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def make_data(path: Path) -> Path:
    """Write ``path`` (``image``: 8×8 greys from 0 to 16, ``digit``: 0 to 9) and ``unseen.npz`` beside it."""
    scans, digits = load_digits(return_X_y=True)
    images = scans.reshape(-1, 8, 8).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, image=images[:-10], digit=digits[:-10])
    np.savez_compressed(path.with_name("unseen.npz"), image=images[-10:])
    return path


if __name__ == "__main__":
    print(f"wrote {make_data(Path(sys.argv[1]))}")

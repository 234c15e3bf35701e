"""Running a graph: fit, settle, train, keep, answer."""

import os

# Without it, MKL's sums depend on where in memory a row lies, so a row's bits would depend on its place in a batch.
# MKL looks when it first computes: whoever computed with torch before importing the engine has to set it themselves.
os.environ.setdefault("MKL_CBWR", "AUTO")

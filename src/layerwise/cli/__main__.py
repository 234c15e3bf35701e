"""``python -m layerwise.cli`` is ``layerwise``."""

from __future__ import annotations

import sys

from layerwise.cli.app import main

if __name__ == "__main__":
    sys.exit(main())

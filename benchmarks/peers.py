"""The peers' environment: made when it is first needed, and anew when ``peers.txt`` changes."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE / "peers.txt"
FOLDER = HERE / ".venv-peers"


def peers_python() -> Path:
    """Return the interpreter of the peers' environment, which is made if it is not there."""
    python = FOLDER / "bin" / "python"
    stamp = FOLDER / "installed.txt"
    wanted = LIST.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {FOLDER.relative_to(HERE.parent)}, once", file=sys.stderr, flush=True)
    venv.create(FOLDER, with_pip=True, clear=True)
    (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    # PyTorch goes first and by its exact version: it is the file that our own environment has.
    torch = next(line for line in wanted.splitlines() if line.startswith("torch=="))
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "--requirement", str(LIST)], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python

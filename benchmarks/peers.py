"""The peers' environments: each made when it is first needed, and anew when its list changes.

``peers.txt`` is for all but what has a list of its own, ``peers-store.txt``: DVC's requirements are many and old.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent


def peers_python(name: str = "") -> Path:
    """Return the interpreter of an environment of peers, which is made if it is not there.

    Args:
        name: of the environment, e.g. ``"store"`` for what ``peers-store.txt`` lists; nothing for ``peers.txt``.
    """
    ending = f"-{name}" if name else ""
    folder = HERE / f".venv-peers{ending}"
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    listed = HERE / f"peers{ending}.txt"
    wanted = listed.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {folder.relative_to(HERE.parent)}, once", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True, clear=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    # PyTorch goes first and by its exact version: it is the file that our own environment has.
    for torch in (line for line in wanted.splitlines() if line.startswith("torch==")):
        subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "--requirement", str(listed)], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python

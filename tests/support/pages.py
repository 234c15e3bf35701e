"""Runs the pages of documentation as a reader would, and prints what every block gave, as JSON.

``python tests/support/pages.py README.md docs/data.md`` runs; with ``--write``, outputs are written into the pages.

- ``python`` blocks run one after the other in one namespace, in a folder of the page's own.
- ``console`` blocks: lines that begin with ``$ layerwise`` run in this process, the rest is what they print.
- ``text`` right after a ``python`` block is what it prints.
- ``<!-- file: NAME -->`` above a block: it is that file. ``<!-- not run: WHY -->``: it is read, not run.
- A line ``…`` in an output stands for any lines; numbers, times and digests may differ (``loose``).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
ANY = "…"


@dataclass
class Block:
    """One fenced block of a page: its language, its text, what the comment above it says, and where it is."""

    kind: str
    text: str
    note: str
    line: int
    span: tuple[int, int]
    found: str | None = None
    error: str = ""

    @property
    def file(self) -> str | None:
        """The file that the block is, where its comment says so."""
        return self.note.removeprefix("file: ") if self.note.startswith("file: ") else None

    @property
    def skipped(self) -> bool:
        """Whether the block is read and not run."""
        return self.note.startswith("not run: ")


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    return [
        Block(
            found["kind"], found["text"], found["note"] or "", page.count("\n", 0, found.start("text")) + 1,
            found.span("text"),
        )
        for found in BLOCK.finditer(page)
    ]  # fmt: skip


def loose(text: str) -> list[str]:
    """Return the lines of an output with every number, time and digest as 0, every bar and curve and gap as one."""
    text = re.sub(r"\b(r-)?[0-9a-f]{10,64}\b", "0", text)
    text = re.sub(r"[-+]?(?<![A-Za-z_@])\d[\d.,:]*(e[-+]?\d+)?", "0", text)
    text = re.sub(r"\b0 (bytes|KB|MB|s|min|h)\b", "0", text)
    text = re.sub(r"[▁▂▃▄▅▆▇█×━]+", "▁", text)
    lines = [re.sub(r"─+", "─", re.sub(r"[ \t]+", " ", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line]


def alike(said: str, found: str) -> bool:
    """Say whether an output is the one of the page, loosely: a line … of the page stands for any lines."""
    pattern = "".join(r"(?:[^\n]*\n)*" if line == ANY else re.escape(line) + r"\n" for line in loose(said))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in loose(found))) is not None


def run_page(path: Path, *, quick: bool) -> list[Block]:
    """Run a page in a folder of its own and return its blocks with what they gave; stop at the first that fails."""
    page = path.read_text(encoding="utf-8")
    found = blocks(page)
    module = types.ModuleType(f"page_{path.stem.replace('-', '_').lower()}")
    sys.modules[module.__name__] = module
    with tempfile.TemporaryDirectory() as folder, _in(Path(folder)):
        # The page's Python at its own lines, so that tracebacks and inspect find it.
        source = Path(folder, f"{module.__name__}.py")
        source.write_text(_python(page, found), encoding="utf-8")
        module.__file__ = str(source)
        _prepare(path.name, quick=quick)
        for number, block in enumerate(found):
            _run(block, found[number + 1 :], module, source)
            if block.error:
                break
        _close()
    return found


def _python(page: str, found: list[Block]) -> str:
    kept = [""] * (page.count("\n") + 1)
    for block in found:
        if block.kind == "python" and not block.skipped and not block.file:
            lines = block.text.splitlines()
            kept[block.line - 1 : block.line - 1 + len(lines)] = lines
    return "\n".join(kept)


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    # Tables as a file gets them: of any width.
    for name in ("LAYERWISE_REPOSITORY", "COLUMNS"):
        os.environ.pop(name, None)
    os.environ["LAYERWISE_ACTOR"] = "ada"
    try:
        yield
    finally:
        os.chdir(before)


def _prepare(page: str, *, quick: bool) -> None:
    import layerwise as lw
    from layerwise.engine.run import train

    def briefly(*given: Any, **settings: Any) -> Any:
        return train(*given, **{**settings, "epochs": 2})

    # The README trains in full when its outputs are written; a test need not wait for that.
    vars(lw).pop("train", None)
    if quick and page == "README.md":
        vars(lw)["train"] = briefly


def _close() -> None:
    from layerwise import repo

    while repo._default:
        repo._default.popitem()[1].close()


def _run(block: Block, after: list[Block], module: types.ModuleType, source: Path) -> None:
    if block.skipped:
        return
    if block.file:
        Path(block.file).write_text(block.text, encoding="utf-8")
    elif block.kind == "python":
        said = _captured(block, lambda: _execute(block, module, source))
        output = after[0] if after and after[0].kind == "text" else None
        if output is not None and not block.error:
            output.found = said
        elif said.strip() and not block.error:
            block.error = f"it prints {said!r} and no text block follows"
    elif block.kind == "console":
        block.found = _captured(block, lambda: _commands(block))


def _execute(block: Block, module: types.ModuleType, source: Path) -> None:
    exec(compile("\n" * (block.line - 1) + block.text, str(source), "exec"), vars(module))  # noqa: S102


def _commands(block: Block) -> None:
    from layerwise.cli import main

    for line in block.text.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            print(line)
            if words[0] != "layerwise":
                raise ValueError(f"only layerwise runs in a console block; found {words[0]}")
            main(words[1:])


def _captured(block: Block, work: Any) -> str:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            work()
    except BaseException:
        block.error = traceback.format_exc()
    return out.getvalue().replace(f"{Path.cwd()}{os.sep}", "").replace(f"{Path.cwd()}", ".")


def write(path: Path, found: list[Block]) -> None:
    """Put what the blocks gave into the page, except where its own output is alike and leaves lines out."""
    page = path.read_text(encoding="utf-8")
    for block in reversed(found):
        if block.found is None or (ANY in block.text.splitlines() and alike(block.text, block.found)):
            continue
        text = "".join(f"{line.rstrip()}\n" for line in block.found.strip("\n").splitlines())
        page = page[: block.span[0]] + text + page[block.span[1] :]
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(2)
    arguments = sys.argv[1:]
    writing = "--write" in arguments
    report = {}
    for name in arguments:
        if name == "--write":
            continue
        made = run_page(ROOT / name, quick=not writing)
        if writing:
            for block in made:
                if block.error:
                    print(f"{name}:{block.line}: {block.error}", file=sys.stderr)
            write(ROOT / name, made)
        report[name] = [
            {"line": block.line, "kind": block.kind, "said": block.text, "found": block.found, "error": block.error}
            for block in made
        ]
    if not writing:
        print(json.dumps(report))

"""Keeps the README in step with the digits example: ``python tests/support/readme.py``, ``--demo`` runs the demo too.

The model, its file and its drawing are the example's own; the demo's output is what ``scripts/demo`` printed, with
lines that say the same again, or that differ from machine to machine, left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import layerwise as lw
from tests.support.pages import ANY, ROOT, blocks

EXAMPLE = ROOT / "examples" / "digits"
README = ROOT / "README.md"

_LINK = re.compile(r"\]\((\w+)/\)")

LEFT_OUT = {
    "show": re.compile(r"made |metric |(loss|accuracy|auc|\w+_\w+) +[\d.]|environment"),
    "predict": re.compile(r" +[3-9] |\d\d+ "),
}
"""Lines of the demo that the README leaves out, by command."""


def code() -> str:
    """Return the example's model as Python, as its file has it."""
    text = (EXAMPLE / "digits.py").read_text(encoding="utf-8")
    found = re.search(r"^model = lw\.Model\(\n.*?^\)", text, flags=re.M | re.S)
    assert found, "examples/digits/digits.py has no model = lw.Model(...) at the top level"
    return f"{found[0]}\n"


def description() -> str:
    """Return the example's model as YAML, as its file has it."""
    return (EXAMPLE / "digits.yaml").read_text(encoding="utf-8")


def drawing() -> str:
    """Return the model's flowchart, with the shapes that follow from the example's columns."""
    model = lw.Model.from_yaml(EXAMPLE / "digits.yaml")
    return model.mermaid({"image": lw.Port("uint8", (8, 8)), "digit": lw.Port("int64")})


def table() -> str:
    """Return the table of examples from their own page, without those that have no page yet."""
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\|.*\|$", page, flags=re.M)
    kept = [
        line for line in lines if not (link := _LINK.search(line)) or (EXAMPLE.parent / link[1] / "README.md").exists()
    ]
    return _LINK.sub(r"](examples/\1)", "".join(f"{line}\n" for line in kept))


def demo() -> str:
    """Run the demo and return what it printed."""
    done = subprocess.run(["scripts/demo"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=550)
    return done.stdout.replace(f"{ROOT}/", "")


def shortened(printed: str) -> Iterator[str]:
    """Yield the lines of the demo that the README shows, … for those that it leaves out."""
    command, last = "", ""
    for line in printed.strip().splitlines():
        if line.startswith("$ "):
            command = line.split()[2] if "layerwise" in line else ""
        leave = command in LEFT_OUT and LEFT_OUT[command].match(line)
        shown = ANY if leave or (line.startswith("─") and last == ANY) else line
        if not (shown == last == ANY):
            yield shown
        last = shown


def in_step(page: str, printed: str | None = None) -> str:
    """Return the README with the example's model, file and drawing in it, and the demo's output where given."""
    said = {"yaml": description(), "mermaid": drawing()}
    for block in reversed(blocks(page)):
        if block.kind == "python" and "model = lw.Model(" in block.text:
            text = re.sub(r"^model = lw\.Model\(\n.*?^\)\n", lambda _: code(), block.text, flags=re.M | re.S)
        elif "make demo" in block.note and printed is not None:
            text = "".join(f"{line}\n" for line in shortened(printed))
        else:
            text = said.get(block.kind, block.text)
        page = page[: block.span[0]] + text + page[block.span[1] :]
    return re.sub(r"(?<=\n## Examples\n\n)(\|.*\|\n)+", lambda _: table(), page)


if __name__ == "__main__":
    README.write_text(
        in_step(README.read_text(encoding="utf-8"), demo() if "--demo" in sys.argv else None), encoding="utf-8"
    )

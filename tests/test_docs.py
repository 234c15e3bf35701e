"""The pages say what is so: their code runs, their outputs are those that were printed, their links lead somewhere."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import layerwise as lw
from layerwise.engine.training import Training
from layerwise.layers.metrics import METRICS
from tests.support import kinds_page, readme
from tests.support.pages import ANY, ROOT, alike, blocks, loose

RUNNER = Path(__file__).parent / "support" / "pages.py"
GUIDES = ("first-steps", "data", "layers", "training", "versions", "looking", "reproducing")
RUN = ["README.md", *(f"docs/{name}.md" for name in GUIDES)]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/README.md")]
)


@functools.cache
def results() -> dict[str, list[dict[str, Any]]]:
    """Run all pages once, in a process of their own: no reader has the run-time type checker of the tests."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), *RUN], capture_output=True, text=True, check=False, timeout=500, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs(page: str) -> None:
    for block in results()[page]:
        assert not block["error"], f"{page}:{block['line']}: {block['error']}"


@pytest.mark.parametrize("page", RUN)
def test_the_outputs_of_a_page_are_those_that_were_printed(page: str) -> None:
    """``python tests/support/pages.py --write PAGE`` writes them anew."""
    for block in results()[page]:
        if block["found"] is not None:
            said, found = loose(block["said"]), loose(block["found"])
            assert alike(block["said"], block["found"]), f"{page}:{block['line']}: {said} and not {found}"


def test_a_changed_word_is_noticed_and_a_changed_number_is_not() -> None:
    assert alike("digits@1  0.98\n", "digits@1    0.97123\n")
    assert not alike("digits@1  0.98\n", "digits@2  0.98\n")
    assert not alike("digits@1 accuracy 0.98", "digits@1 accurate 0.98")
    assert alike(f"a 1\n{ANY}\nz 3", "a 5\nb\nc\nz 7")
    assert not alike(f"a 1\n{ANY}\nz 3", "a 5\nb\nc\n")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_are_there(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            assert anchor in headings(file), f"{page} links to {target}; {file.name} has no such heading"


def headings(file: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in contents, f"docs/README.md does not name {path.name}"


def test_the_readme_is_in_step_with_the_example() -> None:
    """Model, file, drawing and table of examples; ``python -m tests.support.readme`` makes them so."""
    page = readme.README.read_text(encoding="utf-8")
    assert readme.in_step(page) == page
    assert readme.code() in page
    assert readme.description() in page
    assert readme.drawing() in page
    assert readme.table() in page


def test_the_example_is_the_same_model_in_python_and_in_its_file() -> None:
    names: dict[str, Any] = {"lw": lw, "nn": nn}
    # The tests' run-time type checker takes no whole number for a float; people do.
    exec(re.sub(r"\b(by|rotate)=(\d+)\b", r"\1=\2.0", readme.code()), names)  # noqa: S102
    assert names["model"] == lw.Model.from_yaml(readme.description())


def demo_block() -> str:
    found = blocks(readme.README.read_text(encoding="utf-8"))
    return next(block.text for block in found if "make demo" in block.note)


def test_the_readme_shows_the_commands_of_the_demo() -> None:
    script = (ROOT / "scripts" / "demo").read_text(encoding="utf-8")
    commands = re.findall(r"^show (.+)$", script, flags=re.M)
    assert re.findall(r"^\$ (.+)$", demo_block(), flags=re.M) == commands


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints() -> None:
    """``python -m tests.support.readme --demo`` writes it anew."""
    found = readme.demo()
    assert alike(demo_block(), found), f"{loose(demo_block())} and not {loose(found)}"


def test_the_page_of_kinds_is_the_registry() -> None:
    """``scripts/docs`` makes it anew."""
    assert (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8") == kinds_page.page()


def test_every_option_has_a_type_and_a_meaning() -> None:
    silent = re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \|  \|$", kinds_page.page(), flags=re.M)
    assert not silent, f"these options have no meaning in their docstrings: {', '.join(silent)}"


def cells(page: str, heading: str) -> set[str]:
    """Return the first cells of the table below a heading."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.M))


def test_the_guide_names_every_setting_and_every_metric() -> None:
    assert cells("training.md", "Settings") == {field.name for field in dataclasses.fields(Training)}
    assert cells("training.md", "Metrics") == set(METRICS)

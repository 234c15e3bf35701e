"""The command as a process of its own: signals, pipes, colours, and what it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from layerwise.cli import reference
from tests.cli.conftest import Command

COMMAND = [sys.executable, "-m", "layerwise.cli"]
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def process(*words: object, **environment: str) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def finished(*words: object, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end."""
    running = process(*words, **environment)
    out, err = running.communicate(timeout=120)
    return running.returncode, out, err


def wait_for_epoch(running: subprocess.Popen[str], epoch: int) -> None:
    """Read the notes of a run until an epoch is over."""
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith(f"epoch {epoch}/"):
            return
    raise AssertionError(f"the run ended before epoch {epoch}: {running.communicate()}")


def digests(run: Command, version: str) -> dict[str, str | None]:
    """Return the digest of each layer's state."""
    found: dict[str, str | None] = run("show", version, "--json").json["states"]
    return found


def test_ctrl_c_keeps_the_best_epoch_so_far(run: Command, own: Path) -> None:
    running = process("train", own / "flowers.yaml", "--set", "train.epochs=100000", "--json")
    wait_for_epoch(running, 1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    found = json.loads(out)
    assert running.returncode == 0, err
    assert found["outcome"] == "stopped"
    assert found["version"] == "flowers@2"
    assert 1 <= found["epoch"] <= found["epochs"]
    assert "Traceback" not in err
    assert all(digests(run, "flowers@2")[layer] for layer in ("hidden", "scores", "even", "kind"))


def test_ctrl_c_before_the_first_epoch_keeps_nothing(run: Command, own: Path) -> None:
    (own / "slow_code.py").write_text("import sys, time\nprint('here', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    running = process("train", own / "flowers.yaml", "--code", own / "slow_code.py")
    assert running.stderr is not None
    assert running.stderr.readline() == "here\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err == "error: stopped before the first epoch was over; nothing is kept\n"
    assert [row["number"] for row in run("log", "flowers", "--json").json["versions"]] == [1]


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(run: Command, own: Path) -> None:
    words = ["--set", "train.epochs=20", "--set", "train.checkpoint=0", "--set", "train.keep=last"]
    running = process("train", own / "flowers.yaml", *words)
    wait_for_epoch(running, 3)
    running.kill()
    running.communicate(timeout=60)
    resumed = run("train", own / "flowers.yaml", *words, "--json")
    assert resumed.json["resumed"] >= 2
    assert "going on at epoch" in resumed.err
    unbroken = run("train", own / "flowers.yaml", *words, "--json", "--no-resume")
    assert unbroken.json["resumed"] == 0
    assert resumed.json["history"] == unbroken.json["history"]
    assert digests(run, "flowers@2") == digests(run, "flowers@3")


def test_a_reader_that_goes_away_is_no_error(own: Path) -> None:
    for words in (["data", "show", "flowers-data", "--json"], ["data", "show", "flowers-data"], ["--help"]):
        running = process(*words, PYTHONUNBUFFERED="1")
        assert running.stdout is not None
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == ""
        running.wait(timeout=60)
        running.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no pty there")
@pytest.mark.parametrize(("name", "coloured"), [("COLORTERM", True), ("NO_COLOR", False)])
def test_colours_only_where_they_are_wanted(own: Path, name: str, coloured: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", name: "1"}
    running = subprocess.Popen([*COMMAND, "list"], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    running.wait(timeout=60)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert ("\x1b[36m" in shown) is coloured
    assert "flowers@1" in shown


def test_a_terminal_of_another_alphabet_gets_escapes(own: Path) -> None:
    code, out, err = finished("data", "show", "flowers-data", PYTHONIOENCODING="ascii")
    assert code == 0, err
    assert "\\xb1" in out


def test_looking_loads_no_torch(own: Path) -> None:
    lines = ["list", "log flowers", "alias flowers", "data list", "data show flowers-data", "version"]
    program = f"""
import sys
from layerwise.cli import main
for line in {lines!r}:
    assert main(line.split()) == 0
    assert "torch" not in sys.modules, line
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_page_says_what_the_commands_say() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference.page(), "run scripts/docs"


def test_every_command_documents_its_json() -> None:
    names = {
        line.removeprefix("## layerwise ") for line in reference.page().splitlines() if line.startswith("## layerwise ")
    }
    assert names == set(reference.JSON)

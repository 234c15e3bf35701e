"""How a command fails: one red line for a user's mistake, a traceback for ours, an exit code for programs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from typing import Any

from layerwise.cli.screen import line, notes, paper, print_json
from layerwise.errors import LayerwiseError

USER = 2
"""Exit code for what the user can cure: a wrong name, file, option, value."""

STOPPED = 130
"""Exit code after Ctrl-C where nothing was kept."""


def fail(kind: str, message: str, *, as_json: bool) -> int:
    """Print one error line on stderr, and an object on stdout where JSON was asked for; return the exit code."""
    notes().print(line(("error: ", "bold red"), (message, "red")), soft_wrap=True)
    if as_json:
        print_json({"error": {"type": kind, "message": message}})
    return USER


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether ``--json`` is among the options, also where the rest of the line is wrong."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def say(error: LayerwiseError, *, as_json: bool) -> int:
    """Print an error of ours and return the exit code."""
    return fail(type(error).__name__, str(error), as_json=as_json)


CURABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE}
)
"""What the operating system refuses for reasons that a user can see to; the rest would be our mistake."""


def say_os(error: OSError, *, as_json: bool) -> int:
    """Print what the operating system refused (no permission, a full disk) and return the exit code."""
    if error.errno not in CURABLE:
        raise error
    where = f"{error.filename}: " if error.filename else ""
    return fail("OSError", f"{where}{error.strerror or error}", as_json=as_json)


def say_usage(error: Any, *, as_json: bool) -> int:
    """Print what is wrong with the words of the command line, and where the help is; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return USER  # the help is on the screen already
    command = error.ctx.command_path if error.ctx is not None else "layerwise"
    message = error.format_message().rstrip()
    if "--repository" in message and message.startswith("No such option"):
        message += "; it stands before the command: layerwise --repository PATH …"
    stop = "" if message.endswith((".", "?", "…", ")")) else "."
    return fail("Usage", f"{message}{stop} See {command} --help", as_json=as_json)


def quiet_pipe() -> int:
    """Go silently: whoever read the output has gone."""
    # Python flushes stdout at exit and would complain of the same pipe again: Rich turns it to nowhere, and exits.
    with contextlib.suppress(SystemExit):
        paper().on_broken_pipe()
    return 1


def say_stopped(*, as_json: bool) -> int:
    """Say that Ctrl-C came before anything could be kept; return the exit code."""
    fail("Stopped", "stopped before the first epoch was over; nothing is kept", as_json=as_json)
    return STOPPED

"""``docs/cli.md``: the page of the command line, made from the app itself. ``python -m layerwise.cli.reference``."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import typer

from layerwise.cli.app import app

WIDTH = 118

JSON: dict[str, dict[str, str]] = {
    "data add": {
        "dataset": "the version's address",
        "created": "false where this content was there already",
        "rows": "how many rows the version has",
        "new_rows, removed_rows, changed_rows": "against the version before",
        "new_blocks, new_bytes": "what was written",
        "notes": "what should be said of the source",
    },
    "data list": {
        "datasets": "the newest version of each: address, name, number, rows, columns, key, created, actor, message",
        "versions": "with NAME, in place of datasets: its versions, newest first, with the same keys",
    },
    "data show": {
        "dataset, digest, number, parent, key, rows": "which version",
        "created, actor, message": "when, by whom, why",
        "columns": "by name: type, count, missing, and distinct, min, max, mean, spread, top, examples where known",
        "sample": "the first rows; a tensor by its type and shape",
    },
    "data diff": {
        "old, new, same": "the two versions, and whether they are equal",
        "unchanged": "how many rows both have",
        "added, removed": "ids of rows",
        "changed": "id and columns of every changed row; old and new values of the first",
        "columns": "added, removed and retyped",
        "keys": "the key column, old and new",
    },
    "train": {
        "version, digest": "what was made",
        "run, outcome, epoch, epochs": "the run, how it ended, the epoch that is kept, how many there were",
        "resumed": "the epoch after which it went on; 0 for a run in one piece",
        "seconds": "how long it took",
        "metrics": "of the kept epoch, by split/name",
        "history": "the metrics of every epoch",
        "repository": "where it is kept",
    },
    "list": {
        "models": "the newest version of each: address, name, number, digest, parent, aliases, metrics, data, run, "
        "outcome, epoch, created, actor, message",
    },
    "log": {"model": "the name", "versions": "newest first, with the keys of list"},
    "runs": {
        "total": "how many runs are like that",
        "runs": "a page of them: id, model, status, version, created, finished, actor, config",
    },
    "metrics": {
        "run": "the run's id",
        "metrics": "by name: pairs of step and value",
        "more": "whether there is another page, after the last name of this one",
    },
    "show": {
        "title, model, version": "what is shown; version is null for a file",
        "layers": "layer, role, kind, options, inputs, output, parameters, state_bytes, owner, sensitivity, frozen",
        "parameters, state_bytes": "of all layers",
        "unknown": "why shapes are not known, where they are not",
        "data, training": "what it is, or is to be, trained on and how",
        "digest, parent, aliases, metrics, environment, states": "of a version; states are the layers' digests",
        "run, outcome, epoch, created, actor, message": "of a version, too",
    },
    "alias": {"model": "the name", "aliases": "every alias and the number it means"},
    "evaluate": {"version, data, split": "what was measured on what", "metrics": "by name"},
    "predict": {
        "version, rows": "who answered, and how many rows",
        "answers": "one object a row",
        "out": "with --out, in place of answers: the file",
    },
    "look": {
        "version, layer, kind": "which layer",
        "source, from": "kept or computed, and the layers from whose records; none: from the rows",
        "what": "output, or attribution",
        "rows": "row (its place), key, shape, values of each; with --attribute also target",
        "more": "how many rows more there are",
        "layers, records": "of a version alone: layer, kind, rows, shape, dtype, bytes, also, sensitivity of each, "
        "and its sets of records",
        "png, html, csv": "the files, where they were asked for",
    },
    "trace": {
        "version, row, key": "which version, and the row's place, from 0, and its key where the dataset has one",
        "layers": "layer, kind, shape, summary, source (kept, computed or patched), with --patch also changed; no "
        "summary where the value is missing",
        "answer, before, truth": "the answer for the row; without --patch; what the row's target says",
        "png, html, csv": "the files, where they were asked for",
    },
    "compare": {
        "version, rows, keys": "which version, and the two rows",
        "layers": "layer, kind, distance (0 to 2), cosine, parted (how much farther apart than before it)",
        "parted": "the layer that parts them most",
        "answers, truth": "both answers, and what the rows' targets say",
        "csv": "the file, where it was asked for",
    },
    "nearest": {
        "version, layer, row, metric": "which layer, and whose neighbours by what",
        "among, source": "how many rows were looked through, and whether they were kept or computed",
        "rows": "row, key, distance, truth of each, the nearest first",
        "png, html, csv": "the files, where they were asked for",
    },
    "top": {
        "version, layer, unit, lowest": "which unit of which layer, and whether the lowest were asked for",
        "among, source": "how many rows were looked through, and whether they were kept or computed",
        "rows": "row, key, value, truth of each, the highest first",
        "png, html, csv": "the files, where they were asked for",
    },
    "stats": {
        "of, run, epoch": "the version or run, its run, the epoch that was asked for",
        "layers": "by layer and statistic: pairs of epoch and value",
        "warnings": "epoch, layer, what, text of each",
        "csv": "the file, where it was asked for",
    },
    "records": {
        "records": "version, digest, data, rows, layers, bytes, made, run, created, expires, notes of each set",
        "version, sets, bytes, left": "with --forget, in place of records: of which, what was forgotten, what is left",
    },
    "reproduce": {
        "version, same": "which, and whether every layer has the same bits again",
        "layers, epochs": "how many states, and epochs of them, were compared",
        "first": "epoch and layer of the first difference; epoch 0 is before the first step",
        "deviations": "layer, largest and relative difference of each that differs in the end",
        "metrics, environment": "what differs, by name: then and now",
        "code": "sources of yours that have changed, as layer: name",
        "seconds": "how long it took",
        "commands": "with --env, beside version and environment alone: what restores it",
    },
    "export": {"version, folder": "what is where", "files": "bytes by name", "tensors": "how many, by file"},
    "verify": {
        "sound": "whether nothing was found",
        "versions, packs, objects, bytes, seconds": "what was looked at, and for how long",
        "findings": "what, found, hurts (what needs it, by model, version and layer) and done of each",
    },
    "repair": {
        "versions, aliases, runs, metrics, packs, objects": "how many there are now",
        "recovered": "versions found by their manifests alone",
        "absent": "versions that keep their number and cannot be read",
        "damaged": "packs that are set aside",
        "old": "where the old catalog is kept",
    },
    "gc": {
        "done": "whether it was done, or only looked at",
        "before, after, freed": "bytes of all packs, the trash counted; of a look, what they would be without coding",
        "found": "packs, objects, bytes (and bytes left) that are unneeded, sparse, stray, in the trash, cold",
        "removed, waiting, restored": "packs, objects, bytes that are gone, wait for writers, are needed after all",
        "writers": "how many are at work",
        "expired": "how many sets of records had an age that is over",
        "unreadable": "files that look like packs and are none",
    },
    "kinds": {
        "kinds": "name, title, role, group, does, options (name, type, default, meaning)",
        "kind": "with NAME, in place of kinds: the same keys",
    },
    "version": {"layerwise, python, torch": "versions; torch is null where it is not installed"},
}
"""What ``--json`` prints, by command: the keys of the object and what they mean."""

HEAD = """\
# The command line

<!-- Made by scripts/docs from the commands themselves; a test compares the two. -->

`layerwise COMMAND --help` says the same on the screen. What was asked for goes to stdout; progress, notes and errors
go to stderr. With `--json`, stdout is one JSON document; a number that is not finite is `null` there.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | `verify` or `reproduce` found something; a defect, with its traceback; or whoever read the output has gone |
| 2 | a mistake that you can cure: one line on stderr, and with `--json` also `{"error": {"type": …, "message": …}}` |
| 130 | stopped by Ctrl-C with nothing to keep |

Only `data add` makes a repository. `NO_COLOR` turns colours off; `LAYERWISE_REPOSITORY` names the repository and
`LAYERWISE_ACTOR` who you are.
"""


def page() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(app)
    lines = [HEAD, "## layerwise", "", *_options(root)]
    for name, command in _commands(root):
        lines += ["", *_command(name, command)]
    return "\n".join(lines) + "\n"


def keys_of(command: str) -> set[str]:
    """Return the keys of what a command prints with ``--json``.

    >>> sorted(keys_of("log"))
    ['model', 'versions']
    """
    return {key for keys in JSON[command] for key in keys.split(", ")}


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        command = group.commands[name]
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(["layerwise", name, *(_argument(argument) for argument in arguments), "[OPTIONS]"])
    yield from [f"## layerwise {name}", "", "```", usage, "```", "", *_paragraphs(command.help)]
    yield from [""] if len(command.params) > 1 else []
    for argument in arguments:
        yield f"- `{argument.metavar or argument.name.upper()}`: {argument.help}"
    yield from _options(command)
    yield from ["", "`--json` prints:", ""]
    yield from (f"- `{keys.replace(', ', '`, `')}`: {meaning}" for keys, meaning in JSON[name].items())


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _paragraphs(text: str) -> list[str]:
    found = [textwrap.fill(" ".join(part.split()), WIDTH) for part in text.split("\n\n")]
    return "\n\n".join(found).splitlines()


def _options(command: Any) -> Iterator[str]:
    for option in command.params:
        if option.param_type_name != "option" or option.name in ("install_completion", "show_completion", "as_json"):
            continue
        names = " / ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
        value = f" `{option.metavar}`" if option.metavar else ""
        yield f"- {names}{value}: {option.help}{_default(option)}"


def _default(option: Any) -> str:
    said = [f"default: `{option.default}`"] if option.default not in (None, "", [], (), False, True) else []
    said += [f"environment: `{option.envvar}`"] if option.envvar else []
    return f" ({'; '.join(said)})" if said else ""


if __name__ == "__main__":
    sys.stdout.write(page())

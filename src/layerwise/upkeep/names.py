"""What the log of names knows and the catalog does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from layerwise.errors import LayerwiseError
from layerwise.store.catalog.catalog import Entry
from layerwise.store.catalog.checks import Contents
from layerwise.store.rows import check_entry
from layerwise.store.store import Store

Alias = tuple[str, str, str]
"""Sort, name and alias."""


@dataclass(slots=True)
class Logged:
    """What the log of names comes to: its versions, its aliases, and the number of its last record, 0 if none."""

    last: int
    entries: dict[tuple[str, str, int], Entry] = field(default_factory=dict)
    aliases: dict[Alias, int] = field(default_factory=dict)


def logged_names(store: Store) -> Logged:
    """Read the log of names, once; what is not whole in it is left out."""
    records = store.names.read()
    found = Logged(max(records, default=0))
    for change in records.values():
        try:
            _apply(change, found.entries, found.aliases)
        except (LayerwiseError, TypeError, KeyError):
            continue
    return found


def _apply(change: Any, entries: dict[tuple[str, str, int], Entry], aliases: dict[Alias, int]) -> None:
    do, args = change["do"], change["args"]
    if do == "publish":
        entry = Entry(**args["entry"])
        check_entry(entry)
        entries[entry.sort, entry.name, entry.number] = entry
    elif do == "set_alias":
        aliases[args["sort"], args["name"], args["alias"]] = int(args["number"])
    elif do == "drop_alias":
        aliases.pop((args["sort"], args["name"], args["alias"]), None)


def check_names(store: Store) -> tuple[Contents, list[str]]:
    """Return what the catalog says, and a sentence for every name that the log of names knows otherwise."""
    contents, wrong = _compare(store)
    if wrong:
        # Somebody may have moved a name between the two looks: what is wrong stays wrong.
        contents, again = _compare(store)
        wrong = [sentence for sentence in wrong if sentence in again]
    return contents, wrong


def _compare(store: Store) -> tuple[Contents, list[str]]:
    # The log first: it never knows more than the catalog.
    logged = logged_names(store)
    contents = store.catalog.check()
    wrong = list(_lost(contents, logged.entries, logged.aliases))
    if logged.last > contents.last:
        lost = logged.last - contents.last
        wrong.append(f"it has lost {lost:,} of its last changes: the log of names counts {logged.last:,}")
    return contents, wrong


def _lost(contents: Contents, entries: dict[tuple[str, str, int], Entry], aliases: dict[Alias, int]) -> Iterator[str]:
    known = {(entry.sort, entry.name, entry.number): entry for entry in contents.entries}
    for key, entry in sorted(entries.items()):
        if known.get(key) != entry:
            state = "is not in it" if key not in known else "is another there"
            yield f"{entry.sort} {entry.name}@{entry.number} {state}, and the log of names has it"
    logged = {name for _, name, _ in entries}
    for (sort, name, alias), number in sorted(aliases.items()):
        found = contents.aliases.get((sort, name, alias))
        if name in logged and found != number:
            means = "is not in it" if found is None else f"means {name}@{found}"
            yield f"the alias {name}@{alias} {means}, and {name}@{number} in the log of names"

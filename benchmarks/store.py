"""What keeping a version costs, beside safetensors and others: commit, load, compare, small layers, the catalog.

``python -m benchmarks.store``: a model of 50 layers of 8 MiB; two layers change between commits. Peers take turns with
us; "durable" is an fsync of the file and its folder on both sides. We keep every version, so the peer is safetensors
writing each into a new file, which stays; beside it stands what it costs when the last one is removed first, whose
memory the system then uses again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from benchmarks import store_catalog, store_syncs, store_versions
from benchmarks.measure import Sample, interleave, surroundings, timed, versions
from benchmarks.store_peers import listed, peers
from benchmarks.store_work import (
    KIND,
    MODEL,
    Network,
    Turns,
    against,
    clock,
    commit,
    folder,
    held,
    repository,
    save,
    show,
    used,
)
from layerwise.engine.tensors import from_raw, to_raw
from layerwise.engine.tracking import Tracker
from layerwise.repo import LayerState, Repository
from layerwise.store.packs import pack_name
from layerwise.store.seals import RACY_SECONDS, VERIFY
from layerwise.versions.changes import changed_layers
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Digest

WHOLE, AGAIN = "the whole + fsync, a new file", "the whole again, a new file (A/A)"
OVER = "the whole + fsync, the last one removed"
OURS, TRACKED = "layerwise", "layerwise, changes tracked"
COMMIT, COMMIT_TRACKED, NEW_BYTES, LOAD, ONE_LAYER = 0.10, 0.05, 1.001, 1.1, 0.03

Work = Callable[[], Sample]
Touch = Callable[[torch.Tensor], torch.Tensor]

TOUCHES: Mapping[str, Touch] = {
    "one float of every page of 4 KiB read": lambda tensor: tensor[::1024].sum(),
    "every float read": lambda tensor: tensor.sum(),
    "one float of every page written to": lambda tensor: tensor[::1024].add_(1).sum(),
}
"""What "every page touched" can mean."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int
    peers: bool
    layers: int = 50
    layer_bytes: int = 8 << 20
    versions: int = 50
    rates: tuple[str, ...] = ("light", "heavy")
    runs: int = 100_000
    keys: int = 50_000
    steps: int = 20_000


QUICK = Sizes(
    2, False, layers=6, layer_bytes=64 << 10, versions=3, rates=("light",), runs=300, keys=300, steps=1000
)  # fmt: skip


def tracked_commit(repo: Repository, network: Network) -> Work:
    """Return our commit where PyTorch's count of writes says which layers changed (opt-in), timed."""
    entry = commit(repo, network.states())
    kept = [(Tracker(network.tensors_by_layer()), repo.manifest(entry))]

    def run() -> None:
        tracker, manifest = kept.pop()
        states = network.tensors_by_layer()
        same = tracker.unchanged(states)
        layers: dict[str, LayerState | LayerEntry] = {path: manifest.layers[path] for path in same}
        for path in states.keys() - same:
            layers[path] = LayerState(KIND, to_raw(states[path]), {})
        kept.append((Tracker(states), repo.manifest(commit(repo, layers))))

    return lambda: timed(run)[1]


def commits(sizes: Sizes) -> None:
    """Print what a commit costs of which two layers changed, then what loading costs."""
    network = Network.make(sizes.layers, sizes.layer_bytes)
    with repository() as repo, repository() as other, ExitStack() as stack:
        file, written = repo.path.parent / "whole.safetensors", list[int]()
        commit(repo, network.states())
        numbers = count()
        variants: dict[str, Work] = {
            WHOLE: lambda: whole(repo.path.parent / f"whole{next(numbers)}.safetensors", network),
            OVER: partial(whole, file, network),
            OURS: partial(our_commit, repo, network, written),
        }
        variants[TRACKED] = tracked_commit(other, network)
        if sizes.peers:
            variants |= stack.enter_context(peers(repo.path.parent / "peers", lambda path: save(path, network)))
        variants[AGAIN] = variants[WHOLE]
        runs = in_turns(variants, network.step, sizes.rounds)
        # The peers end here: what follows is not theirs.
        stack.close()
        each = sizes.layer_bytes / 2**20
        show(f"Commit: 2 of {sizes.layers} layers of {each:g} MiB changed, every byte of all of them read", runs)
        judge(runs, statistics.median(written), 2 * sizes.layer_bytes)
        loads(repo, file, network, sizes)


def judge(runs: Mapping[str, Sequence[Sample]], written: float, changed: int) -> None:
    """Print the limits of a commit beside what was found."""
    print("With us and with safetensors it is durable; peers wait for no disk, and those that hash keep nothing.\n")
    for base in (WHOLE, OVER):
        against(runs, OURS, base, COMMIT)
        against(runs, TRACKED, base, COMMIT_TRACKED)
    share = written / changed
    print(f"new bytes on disk: {written:,.0f}, {share:.5f} of the {changed:,} that changed; at most {NEW_BYTES}: "
          f"{held(share, NEW_BYTES)}\n")  # fmt: skip


def in_turns(variants: Mapping[str, Work], change: Callable[[], object], rounds: int) -> dict[str, list[Sample]]:
    """Return what the variants cost; the network changes once a round, before the first of them."""
    turns = Turns(change)

    def run(name: str) -> Sample:
        turns.begin(name)
        return variants[name]()

    return interleave({name: partial(run, name) for name in variants}, rounds)


def our_commit(repo: Repository, network: Network, written: list[int]) -> Sample:
    """Return what a commit costs; the bytes that it adds to the packs go to ``written``."""
    before = used(repo.path / "packs")
    found = timed(lambda: commit(repo, network.states()))[1]
    written.append(used(repo.path / "packs") - before)
    return found


def whole(file: Path, network: Network) -> Sample:
    """Return what it costs to save everything; a file of that name is removed before, untimed."""
    file.unlink(missing_ok=True)
    return timed(lambda: save(file, network))[1]


def loads(repo: Repository, file: Path, network: Network, sizes: Sizes) -> None:
    """Print what a load costs, in a repository opened anew each time, for each meaning of "every page touched".

    The peer's file is a new one, as our packs are. How well a file's memory lies together, and how lately it was used,
    counts for more than we do: so safetensors also reads the same bytes where we have them, in our packs.
    """
    new = file.with_name("new.safetensors")
    whole(new, network)
    address = f"{MODEL}@{commit(repo, network.states()).number}"
    theirs, ours, one = "safetensors, all", "layerwise, all", "layerwise, one layer"
    always, always_one = "layerwise, all, compared each time", "layerwise, one layer, compared each time"
    same, packs = "safetensors, all, from our packs", objects_by_pack(repo, address)
    # A file that was changed a moment ago is compared each time; the first load of each seals it, uncounted.
    time.sleep(RACY_SECONDS + 0.1)
    for what, touch in TOUCHES.items():
        all_of_it = partial(read_whole, new, touch)
        variants = {
            theirs: all_of_it, ours: partial(load, repo.path, address, sizes.layers, touch),
            same: partial(read_packs, packs, touch),
            one: partial(load, repo.path, address, 1, touch), "safetensors, one tensor": partial(read_one, new, touch),
            always: partial(load, repo.path, address, sizes.layers, touch, "always"),
            always_one: partial(load, repo.path, address, 1, touch, "always"),
            "safetensors, all again (A/A)": all_of_it,
        }  # fmt: skip
        runs = interleave(variants, sizes.rounds)
        show(f"Load of {sizes.layers} layers, {what}", runs)
        print("Compared with their digests once, and not again while their files are what they were.\n")
        against(runs, ours, theirs, LOAD)
        against(runs, ours, same, LOAD)
        against(runs, one, ours, ONE_LAYER)
        against(runs, always, theirs, LOAD)
        against(runs, always_one, always, ONE_LAYER)


def read_whole(file: Path, touch: Touch) -> Sample:
    """Return what it costs to load all with safetensors, mapped."""
    return timed(lambda: sum(float(touch(tensor)) for tensor in load_file(file).values()))[1]


def objects_by_pack(repo: Repository, address: str) -> dict[Path, list[Digest]]:
    """Return which packs hold the states of a version, and which objects of them they are."""
    found: dict[Path, list[Digest]] = defaultdict(list)
    states = [layer.state for layer in repo.manifest(repo.find(address)).layers.values() if layer.state]
    for state, at in repo.store.objects.places(states).items():
        found[repo.path / pack_name(at.pack)].append(state)
    return found


def read_packs(packs: Mapping[Path, Sequence[Digest]], touch: Touch) -> Sample:
    """Return what it costs to load the same layers with safetensors out of our packs, which are files of its format."""

    def read() -> float:
        total = 0.0
        for path, states in packs.items():
            with safe_open(path, "pt") as opened:
                for state in states:
                    whole = opened.get_tensor(state)
                    begin = 8 + int.from_bytes(whole[:8].numpy().tobytes(), "little")
                    total += float(touch(whole[begin:].view(torch.float32)))
        return total

    return timed(read)[1]


def read_one(file: Path, touch: Touch) -> Sample:
    """Return what it costs to load one tensor with safetensors."""

    def read() -> float:
        with safe_open(file, "pt") as opened:
            return float(touch(opened.get_tensor("layer000")))

    return timed(read)[1]


def load(path: Path, address: str, wanted: int, touch: Touch, verify: str = "changed") -> Sample:
    """Return what it costs to load the first layers of a version; opening the repository is not timed."""
    with patch.dict(os.environ, {VERIFY: verify}), Repository(path) as opened:
        opened.models()

        def read() -> float:
            manifest = opened.manifest(opened.find(address))
            states = {path: entry.state for path, entry in list(manifest.layers.items())[:wanted] if entry.state}
            raw = opened.layer_states(states)
            return sum(float(touch(from_raw(tensors)["weight"])) for tensors in raw.values())

        return timed(read)[1]


def small(sizes: Sizes) -> None:
    """Print what a commit of 100 layers of 16 KB costs, and how often it waits for the disk."""
    network = Network.make(100, 16_000)
    with repository() as repo:
        commit(repo, network.states())
        theirs = partial(whole, repo.path.parent / "whole.safetensors", network)
        variants = {OVER: theirs, OURS: partial(our_commit, repo, network, []), f"{OVER} (A/A)": theirs}
        runs = in_turns(variants, lambda: network.step(100), sizes.rounds)
        show("Commit of 100 layers of 16 KB, all changed", runs)
    with folder() as path:
        store_syncs.show(path)


def differences() -> None:
    """Print how long it takes to tell which layers differ."""
    print("## Which layers differ between two versions\n")
    for layers, limit in ((50, 50e-6), (10_000, 1e-3)):
        one = {f"block{number // 10}.layer{number}": LayerEntry(KIND, digest(number)) for number in range(layers)}
        two = {
            **one,
            "block0.layer1": LayerEntry(KIND, digest(10**6)),
            "block1.layer17": LayerEntry(KIND, digest(10**7)),
        }
        old, new = Manifest("m", 1, {}, one), Manifest("m", 2, {}, two)
        assert changed_layers(old, new) == ["block0.layer1", "block1.layer17"]
        took = sorted(clock(partial(changed_layers, old, new)) for _ in range(500))
        half = took[len(took) // 2]
        print(f"- {layers:,} layers: median {half * 1e6:,.0f} µs; at most {limit * 1e6:,.0f}: {held(half, limit)}")
    print()


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--only", choices=("commit", "small", "differ", "catalog", "versions"), default=None)
    parser.add_argument("--no-peers", action="store_true", help="without Git-Theta, hf-xet and DVC")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small sizes, two rounds, no peers")
    said = parser.parse_args(arguments)
    sizes = QUICK if said.quick else Sizes(said.rounds, not said.no_peers)
    torch.set_num_threads(1)
    print("# The store\n")
    ours = versions("layerwise", "torch", "safetensors", "blake3", "xxhash", "sqlalchemy")
    beside = sizes.peers and said.only in (None, "commit")
    print(surroundings(1, ours | (listed() if beside else {})), "\n")
    if said.quick:
        print("A smoke run: the figures mean nothing.\n")
    parts: dict[str, Callable[[], None]] = {
        "commit": partial(commits, sizes), "small": partial(small, sizes), "differ": differences,
        "catalog": partial(store_catalog.show, sizes.runs, sizes.keys, sizes.steps),
        "versions": partial(store_versions.show, sizes.rates, sizes.versions, sizes.rounds),
    }  # fmt: skip
    for name, part in parts.items():
        if said.only in (None, name):
            part()


if __name__ == "__main__":
    main()

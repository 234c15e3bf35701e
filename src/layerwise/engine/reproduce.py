"""Making a version again from what its manifest says, and saying where it first differs. ``lw.reproduce`` is here."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from layerwise.canonical import digest_bytes, digest_value
from layerwise.data.dataset import Dataset
from layerwise.engine.checkpoint import Checkpoints
from layerwise.engine.determinism import choose_device, settled_torch
from layerwise.engine.environment import capture
from layerwise.engine.events import Observer
from layerwise.engine.journal import Journal
from layerwise.engine.loop import Loop
from layerwise.engine.prepare import Prepared, prepare
from layerwise.engine.run import loop_of
from layerwise.engine.tensors import digest_tensors
from layerwise.engine.training import Training, at_setting
from layerwise.engine.version import Version, load
from layerwise.errors import Damaged, Unsupported
from layerwise.layers.base import State
from layerwise.layers.network import layer_states

BEFORE = 0
"""The epoch before the first: what was fitted, and the weights that training starts from."""

CHANGES_NOTHING = frozenset({"diff", "commit"})
"""What of an environment is kept to be read and cannot change bits by itself: the code of layers is compared."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one layer's state is from that of the version.

    Attributes:
        layer: its path.
        largest: the largest difference of two numbers; infinite where shapes, types or NaNs differ.
        relative: the norm of the difference over the norm of the version's state.
    """

    layer: str
    largest: float
    relative: float


@dataclass(frozen=True)
class Reproduction:
    """What came of making a version again. True where every layer's state is the same, bit for bit.

    Attributes:
        version: its address.
        layers: how many layers have a state that was compared.
        epochs: how many epochs were compared, layer by layer; 0 where the version is of a Layerwise that did not
            keep what each epoch had learned.
        first: the first epoch and layer that differ; epoch 0 is before the first step.
        deviations: the layers that differ in the end, in the order of the graph.
        metrics: metrics that differ, as the version has them and as they are now.
        environment: what of the environment differs, as it was and as it is.
        code: what of the user's code differs, as ``layer: name``.
        seconds: how long it took.
    """

    version: str
    layers: int
    epochs: int
    first: tuple[int, str] | None
    deviations: tuple[Deviation, ...]
    metrics: Mapping[str, tuple[float | None, float | None]]
    environment: Mapping[str, tuple[str, str]]
    code: tuple[str, ...]
    seconds: float = field(compare=False, default=0.0)

    def __bool__(self) -> bool:
        return self.first is None and not self.deviations and not self.metrics

    def __str__(self) -> str:
        if self:
            return f"{self.version}: made again, the same to the bit ({self.layers} layers, {self.epochs} epochs)"
        where = "in the end" if self.first is None else f"first at {self.first[1]!r}, {epoch_said(self.first[0])}"
        return f"{self.version}: not the same: {where}"


def epoch_said(epoch: int) -> str:
    """Return how a person calls an epoch; 0 is before the first step.

    >>> epoch_said(0), epoch_said(3)
    ('before the first step', 'epoch 3')
    """
    return "before the first step" if epoch == BEFORE else f"epoch {epoch}"


def reproduce(version: Version | str, *, observers: Sequence[Observer] = ()) -> Reproduction:
    """Train a version again as its manifest says, and compare it layer by layer and epoch by epoch. Nothing is kept.

    Args:
        version: the version, or its address. One of a wrapped module needs an instance with the weights that its
            training started from: ``lw.load(ADDRESS, module=…)``.
        observers: called with every event of the run.

    Raises:
        Unsupported: no run made this version: ``lw.keep`` did, of weights that a loop of your own changed.
        NotFound: the dataset is gone.

    Example:
        >>> made = lw.reproduce("digits@3")  # doctest: +SKIP
        >>> bool(made), made.first, made.environment  # doctest: +SKIP
        (False, (2, 'edges'), {'threads': ('2', '1')})
    """
    opened = load(version) if isinstance(version, str) else version
    started = time.perf_counter()
    then = _environment(opened)
    training = _training(opened, then)
    with ExitStack() as stack:
        with at_setting("device"):
            device = choose_device(training.device)
        stack.enter_context(settled_torch(training, device))
        prepared = prepare(opened.repo, opened.model, _dataset(opened), training, device, observers)
        now = capture(device).to_json()
        fitted = _unlike(prepared.states, opened.states)
        loop = _run(opened, prepared, observers)
        states = {**prepared.states, **layer_states(loop.network)}
    known = _epochs(opened)
    first = (BEFORE, fitted[0]) if fitted else _first(opened, known, loop.learned)
    return Reproduction(
        opened.address, sum(bool(state) for state in opened.states.values()), max(0, len(known) - 1), first,
        tuple(_deviations(opened, states)), _metrics(opened, loop), _differences(then, now), tuple(_code(opened)),
        time.perf_counter() - started,
    )  # fmt: skip


def _run(version: Version, prepared: Prepared, observers: Sequence[Observer]) -> Loop:
    # Under a name of its own: what is broken off goes on, and a run of the user's is left alone.
    name = digest_value("reproduction.v1", {"version": version.entry.digest, "run": prepared.key})
    checkpoints = Checkpoints(version.repo.store.disk, name)
    loop = loop_of(prepared, Journal(lambda _: None), checkpoints, observers)
    loop.start(resume=True)
    loop.run()
    loop.checkpoints.clear()
    return loop


def _dataset(version: Version) -> Dataset:
    dataset = version.repo.dataset(version.data_address)
    if dataset.digest != version.manifest.data["digest"]:
        raise Damaged(
            f"{version.data_address} is not what {version.address} was trained on: its digest is {dataset.digest}, "
            f"expected {version.manifest.data['digest']}; `layerwise verify` says what is hurt"
        )
    return dataset


def _environment(version: Version) -> dict[str, Any]:
    if not version.manifest.run or version.manifest.environment is None:
        raise Unsupported(
            f"{version.address} was not made by a run of Layerwise ({version.manifest.outcome or 'nothing'} made it), "
            f"so there is nothing to make again; reproduce the version it came from"
        )
    found = version.repo.json(version.manifest.environment, f"the environment of {version.address}")
    return dict(found)


def _training(version: Version, environment: Mapping[str, Any]) -> Training:
    training = Training.from_mapping(version.manifest.training)
    if training.threads is not None:
        return training
    # Bits depend on the number of threads: where nobody said one, that of then counts.
    return dataclasses.replace(training, threads=int(environment["threads"]))


def _epochs(version: Version) -> list[Mapping[str, str]]:
    if version.manifest.epochs is None:
        return []
    found = version.repo.json(version.manifest.epochs, f"the epochs of {version.address}")
    return list(found["epochs"])


def _order(version: Version) -> list[str]:
    return [path for path, _ in version.model.walk()]


def _first(
    version: Version, known: Sequence[Mapping[str, str]], made: Sequence[Mapping[str, str]]
) -> tuple[int, str] | None:
    order = {path: place for place, path in enumerate(_order(version))}
    for epoch, (then, now) in enumerate(zip(known, made, strict=False)):
        unlike = [path for path in {**then, **now} if then.get(path) != now.get(path)]
        if unlike:
            return epoch, min(unlike, key=lambda path: order.get(path, len(order)))
    # A run that ended earlier or later than it did has no layer to name: its metrics differ.
    return None


def _unlike(made: Mapping[str, State], known: Mapping[str, State]) -> list[str]:
    return [path for path, state in made.items() if digest_tensors(state) != digest_tensors(known.get(path, {}))]


def _deviations(version: Version, made: Mapping[str, State]) -> Iterator[Deviation]:
    for path in _order(version):
        known, now = version.states.get(path, {}), made.get(path, {})
        if digest_tensors(known) != digest_tensors(now):
            yield _deviation(path, known, now)


def _deviation(path: str, known: State, now: State) -> Deviation:
    if {name: (t.shape, t.dtype) for name, t in known.items()} != {name: (t.shape, t.dtype) for name, t in now.items()}:
        return Deviation(path, float("inf"), float("inf"))
    pairs = [(known[name].double(), now[name].detach().cpu().double()) for name in known]
    gaps = [(one - other).nan_to_num(nan=float("inf")).abs() for one, other in pairs]
    largest = max((float(gap.max()) for gap in gaps if gap.numel()), default=0.0)
    size = _norm([one for one, _ in pairs])
    return Deviation(path, largest, _norm(gaps) / size if size else float("inf"))


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float((tensor * tensor).sum()) for tensor in tensors))


def _metrics(version: Version, loop: Loop) -> dict[str, tuple[float | None, float | None]]:
    now = loop.history[loop.best - 1]
    then = {name: value for name, value in version.metrics.items() if not name.startswith("test/")}
    return {name: (then.get(name), now.get(name)) for name in {**then, **now} if _said(then, name) != _said(now, name)}


def _said(metrics: Mapping[str, float], name: str) -> str:
    # By text: what is not a number equals itself here.
    return repr(metrics.get(name))


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    one, other = _flat(then), _flat(now)
    return {name: (one.get(name, "absent"), other.get(name, "absent"))
            for name in sorted({**one, **other}) if one.get(name) != other.get(name)}  # fmt: skip


def _flat(environment: Mapping[str, Any]) -> dict[str, str]:
    said = {key: str(value) for key, value in environment.items() if key not in {*CHANGES_NOTHING, "packages"}}
    return {**said, **{f"package {name}": str(found) for name, found in environment.get("packages", {}).items()}}


def _code(version: Version) -> Iterator[str]:
    for path, layer in version.model.walk():
        known = version.manifest.layers[path].code
        now = {name: digest_bytes([memoryview(text.encode())]) for name, text in layer.action.code.items()}
        yield from (f"{path}: {name}" for name in sorted({**known, **now}) if known.get(name) != now.get(name))


def restore_commands(environment: Mapping[str, Any]) -> list[str]:
    """Return the shell commands that make the environment of a run again, as far as packages go.

    >>> restore_commands({"python": "3.11.7", "packages": {"torch": "2.13.0+cpu", "numpy": "2.4.6"}})[-1]
    "pip install 'torch==2.13.0+cpu' 'numpy==2.4.6'"
    """
    python = ".".join(str(environment.get("python", "3.11")).split(".")[:2])
    pinned = " ".join(f"'{name}=={found}'" for name, found in environment.get("packages", {}).items())
    checkout = [f"git checkout {environment['commit']}"] if environment.get("commit") else []
    threads = [f"export OMP_NUM_THREADS={environment['threads']}"] if environment.get("threads") else []
    return [*checkout, f"python{python} -m venv .venv", ". .venv/bin/activate", *threads, f"pip install {pinned}"]

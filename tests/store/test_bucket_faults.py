"""A bucket behind a network that fails: what was said to be written is there, what was said to be lost is not.

The proxy loses answers after they were earned, resets, delays, repeats, and answers 409, 412, 500 and 503, before or
after the store has acted. Of every act one of three must come: it is done, it is not, or an error that says that it is
not known. What is counted as wrong is an answer that the store, asked directly, contradicts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, BaseError

from layerwise.errors import Unreachable
from layerwise.store.bucket import bucket as module
from layerwise.store.bucket.bucket import Bucket
from layerwise.store.bucket.log import RecordLog
from tests.support.counts import report
from tests.support.fake_s3 import HONEST, fake
from tests.support.flaky import Flaky, flaky
from tests.support.s3 import environment, moto, new_bucket

SEED = int(os.environ.get("LAYERWISE_SEED", "20260131"))
WRITERS = 4
Views = Sequence[memoryview]


@dataclass
class Said:
    """What callers were told, by what they wrote."""

    won: dict[str, int] = field(default_factory=dict)
    lost: set[tuple[str, int]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def open_bucket(monkeypatch: pytest.MonkeyPatch, endpoint: str, name: str, make: type[Bucket] = Bucket) -> Bucket:
    for variable, value in environment(endpoint).items():
        monkeypatch.setenv(variable, value)
    return make(f"s3://{name}/team", patience=20)


def wants_more(proxy: Flaky, faults: int) -> bool:
    return proxy.made.total() < faults


def writes_records(bucket: Bucket, proxy: Flaky, faults: int, said: Said) -> None:
    """One writer: appends records until there were enough faults."""
    log, number = RecordLog(bucket), 1
    while wants_more(proxy, faults):
        mark = secrets.token_hex(8)
        record = f'{{"mark":"{mark}"}}'.encode()
        try:
            if log.append(number, record):
                said.won[mark] = number
            else:
                said.lost.add((mark, number))
            while log.read(number) is not None:
                number += 1
        except Unreachable:
            said.unknown.add(mark)


def moves_files(bucket: Bucket, proxy: Flaky, faults: int, said: Said) -> None:
    """One who makes, reads, moves and removes files of its own: each answer is right, or said to be unknown."""
    turn = 0
    while wants_more(proxy, faults):
        turn += 1
        name, other, content = f"packs/ab/{turn}.pack", f"trash/{turn}.pack", secrets.token_bytes(300)
        try:
            bucket.publish(name, [content[:100], content[100:]])
            right = [bytes(bucket.read(name)) == content, bytes(bucket.read_range(name, 50, 150)) == content[50:150]]
            bucket.move(name, other)
            right += [not bucket.exists(name), bytes(bucket.read(other)) == content]
            bucket.discard(other)
            right += [not bucket.exists(other)]
            said.wrong += [f"file {turn}, act {act}" for act, is_right in enumerate(right) if not is_right]
        except Unreachable:
            said.unknown.add(name)


def judge(direct: Bucket, said: Said) -> None:
    """Ask the store itself, and note every answer that it contradicts."""
    log, held = RecordLog(direct), {}
    for number in range(1, 1_000_000):
        record = log.read(number)
        if record is None:
            break
        held[number] = record.decode().split('"')[3]
    last = max([0, *said.won.values(), *(number for _, number in said.lost)])
    if last > len(held):
        said.wrong.append(f"somebody was told of record {last}, and {len(held)} are there without a gap")
    times = Counter(held.values())
    said.wrong += [f"{mark} is there {count} times" for mark, count in times.items() if count > 1]
    said.wrong += [f"{mark} was said to be {n} and is not" for mark, n in said.won.items() if held.get(n) != mark]
    said.wrong += [f"{mark} was said to be lost at {n} and is there" for mark, n in said.lost if held.get(n) == mark]
    known = said.won.keys() | said.unknown
    said.wrong += [f"{mark} is there and nobody wrote it" for mark in times if mark not in known]


def endure(
    monkeypatch: pytest.MonkeyPatch, upstream: str, faults: int, make: type[Bucket] = Bucket, *, files: int = 1
) -> tuple[Said, Counter[str]]:
    """Run writers of one log, and of files, through the proxy, until it made that many faults."""
    monkeypatch.setattr(module, "PAUSE", 0.002)
    name, said = new_bucket(upstream), Said()
    with flaky(upstream, SEED, rate=0.0) as (endpoint, proxy):
        bucket = open_bucket(monkeypatch, endpoint, name, make)
        bucket.probe()
        proxy.rate = 0.35
        work = [writes_records] * WRITERS + [moves_files] * files
        threads = [threading.Thread(target=act, args=(bucket, proxy, faults, said)) for act in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=3_600)
            assert not thread.is_alive()
        made = proxy.made
    judge(open_bucket(monkeypatch, upstream, name), said)
    return said, made


def tell(said: Said, made: Counter[str], seconds: float) -> None:
    known, unknown = len(said.won) + len(said.lost), len(said.unknown)
    claim = f"faults of the network ({known} appends answered, {unknown} acts told to be unknown); wrong outcomes"
    report(claim, made.total(), len(said.wrong), seed=SEED, seconds=seconds)


def test_fifty_faults_of_the_network_lead_to_no_wrong_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    said, made = endure(monkeypatch, moto(), 50)
    tell(said, made, time.monotonic() - begin)
    assert said.wrong == []
    assert said.won


@pytest.mark.slow
def test_thousands_of_faults_of_the_network_lead_to_no_wrong_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    said, made = endure(monkeypatch, moto(), int(os.environ.get("LAYERWISE_NETWORK_FAULTS", "5000")))
    tell(said, made, time.monotonic() - begin)
    assert said.wrong == []


# What a careless client would do instead, to see that the test sees it.


class TakesARefusalForLost(Bucket):
    """412 says that somebody was first: it may have been we, and the answer was lost."""

    def _create(self, name: str, views: Views) -> bool:
        for _ in range(20):
            try:
                obstore.put(self._store, name, b"".join(views), mode="create")
                return True
            except AlreadyExistsError:
                return False
            except BaseError:
                continue
        raise Unreachable("not known")


class TakesAnErrorForNothingWritten(Bucket):
    """A lost answer is taken for a lost request."""

    def _create(self, name: str, views: Views) -> bool:
        try:
            obstore.put(self._store, name, b"".join(views), mode="create")
        except BaseError:
            return False
        return True


class TakesAnErrorForWritten(Bucket):
    """An answer that there is something is taken for an answer that it is ours."""

    def _create(self, name: str, views: Views) -> bool:
        for _ in range(20):
            with contextlib.suppress(BaseError):
                obstore.put(self._store, name, b"".join(views), mode="create")
                return True
            if self.exists(name):
                return True
        raise Unreachable("not known")


class SetsNoCondition(Bucket):
    """Looks whether the name is free, then writes."""

    def _create(self, name: str, views: Views) -> bool:
        if self.exists(name):
            return self._has(name, views) is True
        self._try("write", name, lambda: obstore.put(self._store, name, b"".join(views)))
        return True


@pytest.mark.parametrize(
    "mutant", [TakesARefusalForLost, TakesAnErrorForNothingWritten, TakesAnErrorForWritten, SetsNoCondition]
)
def test_a_careless_client_is_caught(mutant: type[Bucket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "probe", lambda self: None)  # which catches some of them by itself
    made: Counter[str] = Counter()
    for _ in range(10):
        with fake(HONEST) as (upstream, _):
            said, more = endure(monkeypatch, upstream, 60, mutant, files=0)
        made += more
        if said.wrong:
            break
    print(f"{mutant.__name__}: {len(said.wrong)} wrong outcomes in {made.total()} faults")
    assert said.wrong


def test_the_careful_client_is_not_caught_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(HONEST) as (upstream, _):
        said, made = endure(monkeypatch, upstream, 120, files=0)
    assert said.wrong == [], made

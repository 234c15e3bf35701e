"""Seals: what was compared once is not compared again while its file is what it was; what was changed always is."""

from __future__ import annotations

import dataclasses
import mmap
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layerwise import canonical
from layerwise.errors import Damaged, InvalidConfig
from layerwise.store import facts as facts_module
from layerwise.store import seals as seals_module
from layerwise.store.disk import Disk
from layerwise.store.packs import pack_name, trash_name
from layerwise.store.seals import DAYS, RACY_SECONDS, SMALLEST, VERIFY, Seals
from layerwise.store.store import Store
from layerwise.upkeep.verify import verify
from layerwise.words import Digest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say when a file was changed")

LATER = 60.0
"""Seconds that the tests' clock is ahead: what was written a moment ago counts as settled."""

Open = Callable[..., Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the repository as another process would, with a clock that is so many seconds ahead."""
    stores: list[Store] = []

    def open_again(ahead: float = LATER, *, always: bool = False) -> Store:
        store = Store.open(tmp_path / "r")
        stores.append(store)
        seals = Seals(store.disk, always=always, clock=lambda: time.time() + ahead)
        return dataclasses.replace(store, seals=seals)

    yield open_again
    for store in stores:
        store.close()


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return how many bytes of objects were compared since it was asked last."""
    real, lengths = canonical.digest_bytes, [0]

    def count(chunks: list[memoryview]) -> Digest:
        lengths.append(sum(len(chunk) for chunk in chunks if len(chunk) >= SMALLEST))
        return real(chunks)

    def since() -> int:
        found = sum(lengths)
        lengths.clear()
        return found

    monkeypatch.setattr("layerwise.store.loading.canonical.digest_bytes", count)
    return since


def put(store: Store, *contents: bytes) -> list[Digest]:
    with store.objects.writing() as writer:
        return [writer.put([content]) for content in contents]


def content(seed: int, size: int = 2 * SMALLEST) -> bytes:
    return random.Random(seed).randbytes(size)


def load(store: Store, digest: Digest) -> bytes:
    return bytes(store.loading().get(digest, "digits/edges"))


def file_of(store: Store, digest: Digest) -> Path:
    found = store.catalog.packs.locate(digest)
    assert found is not None
    return store.path / pack_name(found.pack)


def flip(store: Store, digest: Digest) -> None:
    """Flip a bit of an object in its file, as a program would."""
    at = store.catalog.packs.locate(digest)
    assert at is not None
    with file_of(store, digest).open("r+b") as opened:
        opened.seek(at.position + 5)
        byte = opened.read(1)[0]
        opened.seek(at.position + 5)
        opened.write(bytes([byte ^ 8]))


def test_what_was_compared_once_is_not_compared_again(opened: Open, digested: Callable[[], int]) -> None:
    first = opened()
    one, two = put(first, content(1), content(2))
    digested()
    assert load(opened(), one) == content(1)
    assert digested() == len(content(1))
    again = opened()
    assert load(again, one) == content(1)
    assert digested() == 0
    # The other lies in the same pack, and nobody has looked at it.
    assert load(again, two) == content(2)
    assert digested() == len(content(2))
    third = opened()
    assert third.loading().get_all({"one": one, "two": two}) == {"one": content(1), "two": content(2)}
    assert digested() == 0


def test_verify_compares_every_byte_and_seals_what_is_good(opened: Open, digested: Callable[[], int]) -> None:
    digest = put(opened(), content(1))[0]
    for _ in range(2):
        digested()
        assert verify(opened()).sound
        assert digested() >= len(content(1))
    assert load(opened(), digest) == content(1)
    assert digested() == 0


@pytest.mark.parametrize("looked", ["load", "verify"])
def test_a_bit_flipped_in_a_sealed_pack_is_found_and_never_served(opened: Open, looked: str) -> None:
    digest = put(opened(), content(1))[0]
    if looked == "load":
        load(opened(), digest)
    else:
        verify(opened())
    store = opened()
    flip(store, digest)
    with pytest.raises(Damaged, match="digits/edges"):
        load(store, digest)
    assert not verify(opened()).sound


def test_a_flipped_bit_is_found_though_the_file_is_said_to_be_as_old_as_before(opened: Open) -> None:
    """Any program can set a file's mtime; none can set its ctime."""
    digest = put(opened(), content(1))[0]
    load(opened(), digest)
    store = opened()
    before = file_of(store, digest).stat()
    flip(store, digest)
    os.utime(file_of(store, digest), ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(Damaged):
        load(store, digest)


@pytest.mark.skipif(sys.platform != "linux", reason="what is shown is what Linux does")
def test_a_write_through_a_mapping_that_was_open_all_the_time_is_found(opened: Open, tmp_path: Path) -> None:
    """Linux notes the first write to a page only: the file is fsync'ed before it is sealed, and the next is a first."""
    if _is_in_memory(tmp_path):
        pytest.skip("a file system in memory does not note writes through a mapping")
    digest = put(opened(), content(1))[0]
    store = opened()
    at = store.catalog.packs.locate(digest)
    assert at is not None
    with file_of(store, digest).open("r+b") as held, mmap.mmap(held.fileno(), 0) as mapped:
        mapped[at.position] = mapped[at.position]  # Its page now waits for the disk.
        load(opened(), digest)
        mapped[at.position] ^= 8
        with pytest.raises(Damaged):
            load(opened(), digest)


def _is_in_memory(path: Path) -> bool:
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    inside = [(len(mount[1]), mount[2]) for mount in mounts if path.is_relative_to(mount[1])]
    return max(inside)[1] in ("tmpfs", "ramfs")


def test_what_was_written_a_moment_ago_is_not_sealed(opened: Open, digested: Callable[[], int]) -> None:
    """It might be written to once more within the same tick of the file system's clock."""
    digest = put(opened(), content(1))[0]
    for _ in range(2):
        digested()
        load(opened(ahead=RACY_SECONDS / 2), digest)
        assert digested() == len(content(1))


def test_what_is_changed_while_it_is_compared_is_not_sealed(
    opened: Open, digested: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = put(opened(), content(1))[0]
    store = opened()
    real = Disk.settle

    def settle(self: Disk, name: str) -> object:
        found = real(self, name)
        os.utime(self.at(name))
        return found

    monkeypatch.setattr(Disk, "settle", settle)
    load(store, digest)
    digested()
    load(opened(), digest)
    assert digested() == len(content(1))


@pytest.mark.parametrize("ahead", [LATER + DAYS * 86_400 + 1, LATER - 3600])
def test_a_seal_ends_after_some_days_and_one_from_the_future_is_none(
    opened: Open, digested: Callable[[], int], ahead: float
) -> None:
    digest = put(opened(), content(1))[0]
    load(opened(), digest)
    digested()
    load(opened(ahead=ahead), digest)
    assert digested() == len(content(1))


def test_a_pack_that_was_moved_and_brought_back_is_compared(opened: Open, digested: Callable[[], int]) -> None:
    store = opened()
    digest = put(store, content(1))[0]
    load(opened(), digest)
    at = store.catalog.packs.locate(digest)
    assert at is not None
    store.disk.move(pack_name(at.pack), trash_name(at.pack))
    store.disk.move(trash_name(at.pack), pack_name(at.pack))
    digested()
    load(opened(), digest)
    assert digested() == len(content(1))


def test_a_copy_of_a_repository_is_compared_anew(opened: Open, digested: Callable[[], int], tmp_path: Path) -> None:
    store = opened()
    digest = put(store, content(1))[0]
    load(opened(), digest)
    path = file_of(store, digest)
    data, before = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    digested()
    load(opened(), digest)
    assert digested() == len(content(1))


def test_short_objects_are_compared_each_time(opened: Open) -> None:
    store = opened()
    digest = put(store, content(1, SMALLEST - 1))[0]
    load(store, digest)
    assert not (store.path / _seals(store).name).exists()


def test_the_environment_says_that_all_is_compared(
    tmp_path: Path, opened: Open, digested: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = put(opened(), content(1))[0]
    load(opened(), digest)
    load(opened(always=True), digest)
    for said, compared in (("always", len(content(1))), ("changed", 0), ("", 0)):
        monkeypatch.setenv(VERIFY, said)
        digested()
        with Store.open(tmp_path / "r") as store:
            seals = _seals(store)
            monkeypatch.setattr(seals, "_clock", lambda: time.time() + LATER)
            load(store, digest)
        assert digested() == compared
    monkeypatch.setenv(VERIFY, "alway")
    with pytest.raises(InvalidConfig, match="'alway'; expected always or changed"):
        Store.open(tmp_path / "r")


def _seals(store: Store) -> Seals:
    assert store.seals is not None
    return store.seals


@pytest.mark.parametrize("hurt", ["cut off", "flipped", "nonsense", "gone", "forged", "open to others", "too long"])
def test_seals_that_are_not_whole_are_none_and_are_made_again(
    opened: Open, digested: Callable[[], int], hurt: str
) -> None:
    store = opened()
    digest = put(store, content(1))[0]
    load(opened(), digest)
    path = store.path / _seals(store).name
    data = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    if hurt == "gone":
        path.unlink()
    elif hurt == "open to others":
        path.chmod(0o620)
    else:
        changed = bytearray(data)
        changed[100] ^= 1
        path.write_bytes({
            "cut off": data[:-9], "flipped": bytes(changed), "nonsense": b"\0\xff" * 500 + b"\n" * 5,
            "forged": b"\n" + canonical.digest_bytes([b"x y"])[:16].encode() + b" x y",
            "too long": b"x" * seals_module.LIMIT + data,
        }[hurt])  # fmt: skip
    digested()
    assert load(opened(), digest) == content(1)
    assert digested() == len(content(1))
    assert load(opened(), digest) == content(1)
    assert digested() == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_somebody_elses_seals_are_none(
    opened: Open, digested: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write into a folder that many use cannot have others take his bytes for compared."""
    store = opened()
    digest = put(store, content(1))[0]
    load(opened(), digest)
    mine = (store.path / _seals(store).name).read_bytes()
    for place in (facts_module, seals_module):
        monkeypatch.setattr(place, "own_number", lambda: 54_321)
    theirs = store.path / _seals(store).name
    theirs.write_bytes(mine)
    theirs.chmod(0o600)
    digested()
    load(opened(), digest)
    assert digested() == len(content(1))


def test_a_link_in_the_place_of_the_seals_is_not_followed(opened: Open, tmp_path: Path) -> None:
    store = opened()
    digest = put(store, content(1))[0]
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    other.chmod(0o600)
    (store.path / _seals(store).name).symlink_to(other)
    assert load(opened(), digest) == content(1)
    assert other.read_bytes() == b"mine"


def test_where_seals_cannot_be_written_loads_go_on(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Disk, name: str, data: bytes) -> None:
        raise OSError(28, "no space left", name)

    monkeypatch.setattr(Disk, "append_own", refuse)
    store = opened()
    digest = put(store, content(1))[0]
    for _ in range(2):
        assert load(opened(), digest) == content(1)


def test_the_file_of_seals_stays_short(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals_module, "LIMIT", 2000)
    store = opened()
    digests = put(store, *(content(seed) for seed in range(20)))
    for digest in digests:
        load(opened(), digest)
        assert (store.path / _seals(store).name).stat().st_size <= 2000
    seals = _seals(opened())
    assert digests[-1] in seals.compared(store.catalog.packs.locate(digests[-1]).pack)  # type: ignore[union-attr]


def test_many_threads_seal_at_once(opened: Open, digested: Callable[[], int]) -> None:
    store = opened()
    digests = put(store, *(content(seed) for seed in range(16)))
    threads = [threading.Thread(target=load, args=(store, digest)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    digested()
    again = opened()
    assert [load(again, digest) for digest in digests] == [content(seed) for seed in range(16)]
    assert digested() == 0

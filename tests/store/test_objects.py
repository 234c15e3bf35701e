"""Objects: what is put comes back, once, uncopied, and never damaged."""

from __future__ import annotations

import contextlib
import mmap
import threading
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise import canonical
from layerwise.errors import Damaged, InvalidName, LayerwiseError, NotFound
from layerwise.store import mapped as mapped_module
from layerwise.store.disk import Buffer, Disk
from layerwise.store.objects import Objects
from layerwise.store.packs import pack_name
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, frame, unframe
from layerwise.words import Digest


class Counting(Disk):
    """Counts the files that are written."""

    written = 0

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        self.written += 1
        super().write(name, chunks)


def put(store: Store, *contents: bytes) -> list[Digest]:
    with store.objects.writing() as writer:
        return [writer.put([content]) for content in contents]


def pack_of(store: Store, digest: Digest) -> Path:
    found = store.catalog.packs.locate(digest)
    assert found is not None
    return store.path / pack_name(found.pack)


def test_an_object_comes_back_by_the_digest_that_b3sum_prints(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digests = put(store, b"one", b"", b"three" * 1000)
        assert [bytes(store.objects.get(digest)) for digest in digests] == [b"one", b"", b"three" * 1000]
        assert digests[0] == blake3(b"one").hexdigest()
    with Store.open(tmp_path / "r", create=False) as again:
        assert bytes(again.objects.get(digests[2])) == b"three" * 1000


@settings(max_examples=25)
@given(st.lists(st.lists(st.binary(max_size=100), max_size=3), min_size=1, max_size=8))
def test_any_chunks_come_back_as_their_concatenation(
    tmp_path_factory: pytest.TempPathFactory, contents: list[list[bytes]]
) -> None:
    with Store.open(tmp_path_factory.mktemp("r")) as store:
        with store.objects.writing() as writer:
            digests = [writer.put(chunks) for chunks in contents]
        assert [bytes(store.objects.get(d)) for d in digests] == [b"".join(chunks) for chunks in contents]


def test_a_pack_in_a_repository_opens_with_safetensors_own_tools(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, b"hello", bytes(100))[0]
        with safetensors.safe_open(pack_of(store, digest), "np") as pack:
            assert pack.get_tensor(digest).tobytes() == b"hello"
        path = pack_of(store, digest)
        data = path.read_bytes()
        assert blake3(data[: 8 + int.from_bytes(data[:8], "little")]).hexdigest() == path.stem


def test_a_second_put_writes_nothing(tmp_path: Path) -> None:
    disk = Counting(tmp_path / "r")
    with Store.open(tmp_path / "r", disk=disk) as store:
        first = put(store, b"weights", b"more")
        before = disk.written
        with store.objects.writing() as writer:
            again = [writer.put([b"wei", b"ghts"]), writer.put([b"more"])]
        assert again == first
        assert (disk.written - before, writer.new_bytes, writer.new_objects) == (0, 0, 0)


def test_an_object_put_twice_is_in_the_pack_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        with store.objects.writing() as writer:
            assert writer.put([b"same"]) == writer.put([b"same"])
        assert (writer.new_bytes, writer.new_objects) == (4, 1)


def test_get_is_a_view_of_the_mapped_file(tmp_path: Path) -> None:
    """A state inside a pack is used where it lies: aligned to 64 in the file, and the same memory each time."""
    values = np.arange(1000, dtype="<f4")
    with Store.open(tmp_path / "r") as store:
        with store.objects.writing() as writer:
            writer.put([b"x"])
            digest = writer.put(frame({"w": RawTensor("F32", (1000,), values.data)}))
        view = store.objects.get(digest)
        assert isinstance(view.obj, mmap.mmap)
        assert view.readonly
        weights = np.frombuffer(unframe(view, "it")["w"].data, "<f4")
        address = weights.__array_interface__["data"][0]
        start = np.frombuffer(view.obj, np.uint8).__array_interface__["data"][0]
        assert start <= address < start + len(view.obj)
        assert address % 64 == 0
        assert np.array_equal(weights, values)
        again = np.frombuffer(store.objects.get(digest), np.uint8)
        assert again.__array_interface__["data"][0] == np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        with pytest.raises(TypeError):
            view[0] = 1


def test_a_large_object_is_read_without_growth(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, bytes(32 << 20))[0]
        tracemalloc.start()
        try:
            assert len(store.objects.get(digest)) == 32 << 20
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_a_view_outlives_the_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        view = store.objects.get(put(store, b"still here")[0])
        pack_of(store, put(store, b"still here")[0]).unlink()
    assert bytes(view) == b"still here"


def test_memory_may_change_after_put(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        weights = bytearray(b"before")
        with store.objects.writing() as writer:
            digest = writer.put([weights])
            weights[:] = b"after!"
        assert bytes(store.objects.get(digest)) == b"before"


def test_a_writer_closes_packs_as_they_fill(tmp_path: Path) -> None:
    disk = Counting(tmp_path / "r")
    with Store.open(tmp_path / "r", disk=disk) as store:
        before = disk.written
        with store.objects.writing(1000) as writer:
            digests = [writer.put([bytes([n]) * 400]) for n in range(7)]
            assert disk.written - before == 2
            assert store.catalog.packs.locate(digests[5]) is not None
            assert store.catalog.packs.locate(digests[6]) is None
        assert disk.written - before == 3
        assert [bytes(store.objects.get(d)) for d in digests] == [bytes([n]) * 400 for n in range(7)]
        assert (writer.new_bytes, writer.new_objects) == (2800, 7)


def test_an_exception_publishes_nothing_more(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        with contextlib.suppress(ZeroDivisionError), store.objects.writing() as writer:
            digest = writer.put([b"never"])
            raise ZeroDivisionError
        assert store.catalog.packs.locate(digest) is None
        assert list(store.path.glob("packs/*/*")) == list(store.path.glob("tmp/*")) == []


def test_a_writer_is_used_inside_with(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        writer = store.objects.writing()
        for _ in range(2):
            with pytest.raises(LayerwiseError, match="inside `with"):
                writer.put([b"x"])
            with writer:
                pass


def test_what_is_absent_or_no_digest_is_said_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        absent = Digest("0" * 64)
        assert store.catalog.packs.locate(absent) is None
        with pytest.raises(NotFound, match="no object 0000"):
            store.objects.get(absent)
        for bad in ("../x", "/etc/passwd", "a\0", "x" * 10_000, "A" * 64):
            with pytest.raises(InvalidName):
                store.objects.get(Digest(bad))


@pytest.mark.parametrize("length", [1, 63, 64, 5000])
def test_any_flipped_byte_of_an_object_is_seen_and_never_served(tmp_path: Path, length: int) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, bytes(range(256)) * 20, b"z" * length)[1]
        path, found = pack_of(store, digest), store.catalog.packs.locate(digest)
        assert found is not None
        for place in sorted({0, length // 2, length - 1}):
            data = bytearray(path.read_bytes())
            data[found.position + place] ^= 1
            path.write_bytes(data)
            store.disk.forget()
            fresh = Objects(store.disk, store.catalog)
            for _ in range(2):
                with pytest.raises(Damaged, match=rf"object {digest} is damaged in pack {path.stem}"):
                    fresh.get(digest)
            data[found.position + place] ^= 1
            path.write_bytes(data)
        assert bytes(store.objects.get(digest)) == b"z" * length


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_pack_cut_off_is_damaged(tmp_path: Path, left: int) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, b"weights")[0]
        path = pack_of(store, digest)
        path.write_bytes(path.read_bytes()[:left])
        store.disk.forget()
        with pytest.raises(Damaged, match=f"{digest} is damaged in pack {path.stem}: it should have"):
            store.objects.get(digest)


def test_a_pack_that_is_gone_is_damaged(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, b"weights")[0]
        pack_of(store, digest).unlink()
        store.disk.forget()
        with pytest.raises(Damaged, match="the pack is not there"):
            store.objects.get(digest)


def test_bytes_are_compared_with_their_digest_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, b"weights")[0]
        digested: list[object] = []
        real = canonical.digest_bytes

        def count(chunks: Sequence[memoryview]) -> Digest:
            digested.append(chunks)
            return real(chunks)

        monkeypatch.setattr(canonical, "digest_bytes", count)
        for _ in range(3):
            store.objects.get(digest)
        assert len(digested) == 1


def test_few_packs_stay_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_module, "MAPPED_FILES", 2)
    with Store.open(tmp_path / "r") as store:
        digests = [put(store, bytes([n]))[0] for n in range(5)]
        for _ in range(2):
            assert [bytes(store.objects.get(d)) for d in digests] == [bytes([n]) for n in range(5)]
        assert len(store.disk._mapped._files) == 2


def test_a_pack_that_a_dead_writer_left_is_written_again(tmp_path: Path) -> None:
    """It is on disk and the catalog does not know it: the next put of the same makes it known."""
    with Store.open(tmp_path / "r") as store:
        with contextlib.suppress(ZeroDivisionError), store.objects.writing() as writer:
            digest = writer.put([b"weights"])
            writer._flush()
            raise ZeroDivisionError
        assert len(list(store.path.glob("packs/*/*"))) == 1
        assert store.catalog.packs.locate(digest) is None
        assert put(store, b"weights") == [digest]
        assert bytes(store.objects.get(digest)) == b"weights"
        assert len(list(store.path.glob("packs/*/*"))) == 1


def test_threads_may_read_and_write_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for step in range(5):
                    content = b"%d" % ((number + step) % 6) * 100
                    digest = put(store, content)[0]
                    assert bytes(store.objects.get(digest)) == content
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []

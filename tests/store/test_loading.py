"""Loading: tensors that can be written to, mapped, not copied; what is written is seen by nobody else."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from layerwise import canonical
from layerwise.errors import Damaged, NotFound
from layerwise.repo import LayerState, Repository
from layerwise.store.catalog.catalog import Written
from layerwise.store.cold.coding import encode
from layerwise.store.disk import Disk
from layerwise.store.loading import Loading
from layerwise.store.objects import Objects
from layerwise.store.packs import Coded, lay_out, pack_name
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, as_bytes, frame
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest

DESCRIPTORS = Path("/proc/self/fd")


def put(store: Store, *contents: bytes) -> list[Digest]:
    with store.objects.writing() as writer:
        return [writer.put([content]) for content in contents]


def file_of(store: Store, digest: Digest) -> Path:
    found = store.catalog.packs.locate(digest)
    assert found is not None
    return store.path / pack_name(found.pack)


def test_what_is_loaded_is_what_was_put_and_can_be_written_to(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        contents = [b"edges" * 100, b"", b"scores" * 5000]
        digests = put(store, *contents)
        loading = store.loading()
        for digest, content in zip(digests, contents, strict=True):
            view = loading.get(digest)
            assert bytes(view) == content
            assert not view.readonly


def test_what_is_written_is_seen_by_no_other_load_and_not_in_the_file(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        content = bytes(range(256)) * 100
        digest = put(store, content)[0]
        before = file_of(store, digest).read_bytes()
        one, other = store.loading(), store.loading()
        mine, theirs = one.get(digest), other.get(digest)
        mine[:] = bytes(len(mine))
        assert bytes(theirs) == content
        assert bytes(store.objects.get(digest)) == content
        assert bytes(store.loading().get(digest)) == content
        assert file_of(store, digest).read_bytes() == before
        # Of one load it is the same memory: whoever loads twice what he has changed sees his change.
        assert bytes(one.get(digest)) == bytes(len(content))
    with Store.open(tmp_path / "r") as again:
        assert bytes(again.objects.get(digest)) == content


def test_the_tensors_of_layers_can_be_trained_on_and_the_version_stays(tmp_path: Path) -> None:
    def make(number: int, parent: int | None) -> Manifest:
        made = "2026-01-31T09:30:00+00:00"
        return Manifest("digits", number, {}, {}, parent=parent, created=made, actor="maria", message="")

    weights = np.arange(30_000, dtype="<f4")
    layer = LayerState("torch.nn.Linear", {"weight": RawTensor("F32", weights.shape, weights.data)}, {})
    with Repository(tmp_path / "r") as repo:
        entry = repo.commit(make, {"edges": layer, "scores": layer}, {})
        layers = repo.manifest(entry).layers
        states = {path: kept.state for path, kept in layers.items() if kept.state is not None}
        for _ in range(2):
            tensors = repo.layer_states(states)
            for path in ("edges", "scores"):
                found = np.frombuffer(tensors[path]["weight"].data, "<f4")
                assert (found == weights).all()
            np.frombuffer(tensors["edges"]["weight"].data, "<f4")[:] += 1


def test_a_view_outlives_its_load_and_its_repository(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        content = os.urandom(100_000)
        digest = put(store, content)[0]
        view = store.loading().get(digest)
        file_of(store, digest).unlink()
    assert bytes(view) == content


def test_nothing_is_copied(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, bytes(20 << 20))[0]
        loading = store.loading()
        store.objects.get(digest)
        tracemalloc.start()
        view = loading.get(digest)
        view[::4096] = bytes(len(view) // 4096)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken < 1 << 20


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="this system does not list open files")
def test_a_thousand_layers_take_one_open_file_for_each_pack(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        contents = [b"%04d" % n * 30 for n in range(1000)]
        digests = [*put(store, *contents[:500]), *put(store, *contents[500:])]
        store.catalog.names("model")
        before = len(list(DESCRIPTORS.iterdir()))
        loading = store.loading()
        views = [loading.get(digest) for digest in digests]
        assert [bytes(view) for view in views] == contents
        # Two packs, each mapped to be read and once more to be written to.
        assert len(list(DESCRIPTORS.iterdir())) - before <= 4
        del loading
        store.disk.forget()
        assert len(list(DESCRIPTORS.iterdir())) - before <= 2
        del views
        assert len(list(DESCRIPTORS.iterdir())) <= before


def test_a_coded_object_is_unpacked_and_can_be_written_to(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        store.catalog.names("model")
        rows = np.random.default_rng(1).normal(size=20_000).astype("<f4")
        state = b"".join(frame({"weight": RawTensor("F32", rows.shape, rows.data)}))
        digest, found = canonical.digest_bytes([state]), encode(state)
        assert found.coding == "planes.v1"
        coded = Coded(found.coding, len(state), canonical.digest_bytes([as_bytes(found.data)]))
        layout = lay_out([(digest, len(found.data))], {digest: coded})
        store.disk.publish(pack_name(layout.name), layout.chunks([[as_bytes(found.data)]]))
        places = tuple((place.digest, place.at(layout.name)) for place in layout.places)
        store.catalog.packs.add([Written(layout.name, places)])
        one, other = store.loading(), store.loading()
        view = one.get(digest)
        assert bytes(view) == state
        view[:] = bytes(len(view))
        assert bytes(other.get(digest)) == bytes(store.objects.get(digest)) == state


class Unmappable(Disk):
    """A place whose files cannot be mapped, as a bucket is."""

    def read_private(self, name: str) -> memoryview | None:
        return None


class Elsewhere(Disk):
    """A place whose packs are moved to the trash between the look at an object and the mapping of its pack."""

    def read_private(self, name: str) -> memoryview:
        raise FileNotFoundError(name)


@pytest.mark.parametrize("sort", [Unmappable, Elsewhere])
def test_where_nothing_can_be_mapped_it_is_copied(tmp_path: Path, sort: type[Disk]) -> None:
    with Store.open(tmp_path / "r") as store:
        contents = [b"edges" * 100, b"scores" * 100]
        digests = put(store, *contents)
        place = sort(store.path)
        one, other = (Loading(place, Objects(place, store.catalog)) for _ in range(2))
        views = [one.get(digest) for digest in digests]
        assert [bytes(view) for view in views] == contents
        views[0][:] = bytes(500)
        assert [bytes(other.get(digest)) for digest in digests] == contents


@pytest.mark.parametrize("place", [0, 40, 99])
def test_a_flipped_bit_is_never_loaded(tmp_path: Path, place: int) -> None:
    with Store.open(tmp_path / "r") as store:
        digest = put(store, b"x" * 100)[0]
        path, at = file_of(store, digest), store.catalog.packs.locate(digest)
        assert at is not None
        data = bytearray(path.read_bytes())
        data[at.position + place] ^= 8
        path.write_bytes(data)
        for _ in range(2):
            with pytest.raises(Damaged, match=f"digits/edges: object {digest} is damaged"):
                store.loading().get(digest, "digits/edges")
        with pytest.raises(NotFound):
            store.loading().get(Digest("0" * 64))


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be written to there")
def test_a_pack_cut_off_under_a_load_is_not_taken_for_whole(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        digests = put(store, *(bytes([n]) * 100 for n in range(3)))
        path = file_of(store, digests[0])
        path.write_bytes(path.read_bytes()[:-50])
        loading = store.loading()
        assert bytes(loading.get(digests[0])) == bytes(100)
        with pytest.raises(Damaged):
            loading.get(digests[2])

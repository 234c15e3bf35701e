"""One scenario on a folder and on an object store: they keep the same, and answer with the same bits."""

from __future__ import annotations

import errno
import os
import random
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import layerwise.words
from layerwise.canonical import digest_bytes
from layerwise.errors import Damaged, InvalidConfig, InvalidFile, NotFound, Unsupported
from layerwise.repo import Repository
from layerwise.store.bucket import bucket as module
from layerwise.store.bucket.bucket import Bucket
from layerwise.store.bucket.kept import kept_limit
from layerwise.store.bucket.remote import is_remote, parse_remote
from layerwise.store.catalog.catalog import Written
from layerwise.store.disk import Disk
from layerwise.store.packs import lay_out, pack_name
from layerwise.store.store import Store
from tests.cli.conftest import MODEL, Command, run, write_flowers
from tests.support.counts import report
from tests.support.s3 import environment, moto, new_bucket

__all__ = ["run"]

SOURCE = str(Path(layerwise.words.__file__).parents[1])


@pytest.fixture(params=["folder", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the address of a repository that is not made yet, and make it the default one."""
    address = str(tmp_path / "repository")
    if request.param == "s3":
        address = on_s3(tmp_path, monkeypatch)
    monkeypatch.setenv("LAYERWISE_REPOSITORY", address)
    return address


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return on_s3(tmp_path, monkeypatch)


def on_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {**environment(moto()), "LAYERWISE_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "PAUSE", 0.002)
    return f"s3://{new_bucket(moto())}/team/a"


def commits(where: str, name: str, count: int) -> subprocess.Popen[str]:
    script = """
import sys
from layerwise.errors import Moved
from layerwise.store.catalog.catalog import Entry
from layerwise.store.store import Store

with Store.open(sys.argv[1]) as store:
    for step in range(int(sys.argv[3])):
        message = f"{sys.argv[2]}-{step}"
        with store.objects.writing() as writer:
            manifest = writer.put([message.encode()])
            while True:
                head = store.catalog.head("model", "digits")
                before = head.number if head else None
                entry = Entry("model", "digits", (before or 0) + 1, manifest, "main", before,
                              "2026-01-31T09:30:00+00:00", "maria", message)
                try:
                    writer.publish(entry, expected=before, names=[])
                except Moved:
                    continue
                break
        print(entry.number, message, flush=True)
"""
    cache = {"LAYERWISE_CACHE": f"{os.environ['LAYERWISE_CACHE']}-{name}"} if is_remote(where) else {}
    return subprocess.Popen(
        [sys.executable, "-c", script, where, name, str(count)],
        env={**os.environ, "PYTHONPATH": SOURCE, **cache}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def listed(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        found += [(int(number), message) for number, message in map(str.split, output.splitlines())]
    return found


def states(where: str) -> list[dict[str, str | None]]:
    """Return the digest of every layer's state, by version: equal digests, equal bits."""
    with Repository(where) as repo:
        manifests = [repo.manifest(entry) for entry in repo.versions("flowers")]
        return [{path: layer.state for path, layer in manifest.layers.items()} for manifest in manifests]


def scenario(where: str, folder: Path, command: Command) -> dict[str, Any]:
    """Do with one repository what people do, through the command line; return what must be the same anywhere."""
    write_flowers(folder / "flowers.csv")
    (folder / "flowers.yaml").write_text(MODEL)
    train = ("train", folder / "flowers.yaml", "--set", "train.epochs=1", "--no-resume", "--json")

    def run(*words: object) -> Any:
        done = command("--repository", where, *words)
        assert done.code == 0, done.err
        return done.json

    found: dict[str, Any] = {}
    added = run("data", "add", "flowers-data", folder / "flowers.csv", "--key", "id", "--json")
    again = run("data", "add", "flowers-data", folder / "flowers.csv", "--key", "id", "--json")
    found["data"] = [(one["dataset"], one["created"], one["new_bytes"]) for one in (added, again)]
    first, second = run(*train), run(*train, "--set", "train.lr=0.01")
    assert first["repository"] == where
    found["trained"] = [(one["version"], one["metrics"]) for one in (first, second)]
    found["listed"] = [(row["name"], row["number"]) for row in run("list", "--json")["models"]]
    found["measured"] = run("evaluate", "flowers@1", "--json")["metrics"]
    found["answers"] = run("predict", "flowers@2", "--data", "flowers-data", "--json")["answers"]
    found["sound"] = run("verify", "--json")["sound"]
    with Store.open(where) as store, store.objects.writing() as writer:
        writer.put([b"that no version names" * 100])
    collected = run("gc", "--yes", "--json")
    found["collected"] = (collected["removed"]["packs"], collected["freed"])
    assert collected["removed"]["packs"] == 1
    found["still"] = run("predict", "flowers@2", "--data", "flowers-data", "--json")["answers"] == found["answers"]
    found["sound after"] = run("verify", "--json")["sound"]
    found["states"] = states(where)
    return found


def test_a_folder_and_an_object_store_keep_the_same_and_answer_with_the_same_bits(
    address: str, tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Add data twice, train twice, list, measure, predict, verify, collect: on a folder, on S3, and from elsewhere."""
    on_folder = scenario(str(tmp_path / "repository"), tmp_path, run)
    on_s3 = scenario(address, tmp_path, run)
    assert on_s3 == on_folder
    assert on_folder["sound"]
    assert on_folder["still"]
    # Another machine, which has nothing yet.
    monkeypatch.setenv("LAYERWISE_CACHE", str(tmp_path / "elsewhere"))
    done = run("--repository", address, "predict", "flowers@2", "--data", "flowers-data", "--json")
    assert done.json["answers"] == on_folder["answers"]
    assert states(address) == on_folder["states"]


def test_what_did_not_change_is_not_sent_again(where: str) -> None:
    with Store.open(where) as store:
        with store.objects.writing() as writer:
            kept = writer.put([b"x" * 10_000])
        with store.objects.writing() as writer:
            assert writer.put([b"x" * 10_000]) == kept
            assert writer.new_bytes == 0
        packs = [name for folder in store.blobs.list("packs") for name in store.blobs.list(f"packs/{folder}")]
        assert len(packs) == 1


def test_two_processes_that_commit_at_once_lose_nothing(where: str) -> None:
    """Two processes (on S3: two machines) with 10 commits each on one head: 20 numbers without gap or twin."""
    done = listed([commits(where, "a", 10), commits(where, "b", 10)])
    assert sorted(number for number, _ in done) == list(range(1, 21))
    with Store.open(where, create=False) as store:
        entries = store.catalog.entries("model", "digits")
        assert [(entry.number, entry.message) for entry in entries] == sorted(done)
        assert [bytes(store.objects.get(entry.digest)).decode() for entry in entries] == [m for _, m in sorted(done)]


def test_a_writer_that_is_killed_loses_nothing_that_it_was_told(address: str) -> None:
    """Two machines commit to S3 and are killed at random, again and again; what was said stays, numbers have no gap."""
    kills, seed = int(os.environ.get("LAYERWISE_BUCKET_KILLS", "6")), 20260131
    draw, done, begin = random.Random(seed), [], time.monotonic()
    for turn in range(kills // 2):
        writers = [commits(address, f"{who}{turn}", 10_000) for who in "ab"]
        for writer in writers:
            # Until it has committed once, where it gets to it: another may be faster at every turn.
            assert writer.stdout is not None
            if select.select([writer.stdout], [], [], 15)[0]:
                done.append(writer.stdout.readline())
        time.sleep(draw.random() * 0.3)
        for writer in writers:
            writer.kill()
            done += writer.communicate(timeout=60)[0].splitlines(keepends=True)
    told = {(int(line.split()[0]), line.split()[1]) for line in done if line.endswith("\n")}
    with Repository(address) as repo:
        entries = repo.store.catalog.entries("model", "digits")
        lost = told - {(entry.number, entry.message) for entry in entries}
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert all(bytes(repo.store.objects.get(entry.digest)).decode() == entry.message for entry in entries)
    claim = f"kill -9 of writers to S3 ({len(told)} commits acknowledged); lost versions"
    report(claim, kills, len(lost), seed=seed, seconds=time.monotonic() - begin)
    assert not lost


def test_many_may_make_it_at_once(where: str) -> None:
    found: list[str] = []

    def work() -> None:
        with Store.open(where) as store:
            store.catalog.names("model")
            found.append(store.id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 6
    assert len(set(found)) == 1


def test_none_is_made_when_not_asked_for(where: str) -> None:
    with pytest.raises(NotFound, match="layerwise data add"):
        Store.open(where, create=False)
    assert not Store.exists(where)


def test_a_prefix_that_holds_other_things_is_left_alone(address: str) -> None:
    bucket = Bucket(address)
    bucket.create("thesis.tex", [b"important"])
    with pytest.raises(InvalidFile, match=r"holds other things \('thesis.tex'\)"):
        Store.open(address)
    assert bucket.list() == ["thesis.tex"]


def test_a_newer_format_is_refused(address: str) -> None:
    Bucket(address).create("config.json", [b'{"format":99}'])
    with pytest.raises(Unsupported, match="of format 99"):
        Store.open(address)


def test_an_address_with_a_password_is_refused_and_not_repeated(run: Command) -> None:
    done = run("--repository", "s3://maria:hunter2-9b1c@bucket/x", "list", "--json")
    assert done.code == 2
    assert done.json["error"]["type"] == "InvalidName"
    assert "hunter2" not in done.out + done.err


def test_a_path_means_the_same_as_the_text(address: str) -> None:
    with Store.open(Path(address)) as store:
        assert store.address == address
    assert parse_remote(Path(address)) == address


def test_the_log_decides_and_a_machine_that_lost_its_copy_comes_to_the_same(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed([commits(address, "a", 5)])
    with Store.open(address) as store:
        before = store.catalog.every_entry()
        assert store.names.last() >= 5
    monkeypatch.setenv("LAYERWISE_CACHE", str(tmp_path / "elsewhere"))
    with Store.open(address) as store:
        assert store.catalog.every_entry() == before


def test_an_object_that_another_machine_moved_is_found_where_it_is_now(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Repository(address) as here:
        listed([commits(address, "a", 1)])
        [entry] = here.store.catalog.entries("model", "digits")
        old = here.store.catalog.packs.locate(entry.digest)
        assert old is not None
        # The other machine puts what is needed of the pack into another one, and removes the old one.
        monkeypatch.setenv("LAYERWISE_CACHE", str(tmp_path / "elsewhere"))
        with Store.open(address) as other:
            content = bytes(other.objects.get(entry.digest))
            layout = lay_out([(entry.digest, len(content)), (digest_bytes([b"beside"]), 6)])
            chunks = layout.chunks([[memoryview(content)], [memoryview(b"beside")]])
            other.blobs.publish(pack_name(layout.name), [*chunks])
            other.catalog.packs.add([Written(layout.name, tuple((p.digest, p.at(layout.name)) for p in layout.places))])
            other.blobs.discard(pack_name(old.pack))
            other.catalog.collector.switch(dropped=[old.pack])
        assert here.store.catalog.packs.locate(entry.digest) == old, "this machine has not heard of it"
        assert bytes(here.store.objects.get(entry.digest)) == content


@pytest.mark.parametrize("hurt", ["changed", "gone"])
def test_repair_makes_this_machines_copy_of_the_catalog_anew(address: str, hurt: str) -> None:
    listed([commits(address, "a", 3)])
    with Repository(address) as repo:
        repo.store.catalog.set_alias("model", "digits", "champion", 2)
        before = repo.store.catalog.every_entry()
        path = repo.path / "catalog.sqlite"
    if hurt == "changed":
        path.write_bytes(b"rust" * 5000)
    else:
        path.unlink()
    with Repository(address) as repo:
        if hurt == "changed":
            with pytest.raises(Damaged):
                repo.models()
        done = repo.repair()
        assert (done.versions, done.aliases, bool(done.old)) == (3, 1, hurt == "changed")
        assert repo.store.catalog.every_entry() == before
        assert repo.aliases("digits") == {"champion": 2}


def test_another_repository_at_the_same_address_is_another(address: str) -> None:
    listed([commits(address, "a", 2)])
    bucket = Bucket(address)
    for folder in ("log", *(f"packs/{name}" for name in bucket.list("packs"))):
        for name in bucket.list(folder):
            bucket.discard(f"{folder}/{name}")
    bucket.discard("config.json")
    with Store.open(address) as store:
        assert store.catalog.every_entry() == []


def test_the_log_of_another_past_is_not_written_on(address: str) -> None:
    """The bucket was put back from an older copy: a machine that has seen more says so, and writes nothing."""
    with Store.open(address) as store, store.objects.writing() as writer:
        writer.put([b"1"])
    bucket = Bucket(address)
    last = bucket.list("log")[-1]
    bucket.discard(f"log/{last}")
    with Store.open(address) as store, pytest.raises(Damaged, match="put it back"):
        store.catalog.packs.take_lease()
    assert bucket.list("log")[-1] < last


def test_a_changed_byte_in_the_bucket_is_found_and_never_served(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(address) as store:
        with store.objects.writing() as writer:
            digest = writer.put([b"x" * 500])
        [folder] = store.blobs.list("packs")
        [name] = [f"packs/{folder}/{name}" for name in store.blobs.list(f"packs/{folder}")]
        data = bytearray(store.blobs.read(name))
        data[-1] ^= 1
        store.blobs.discard(name)
        assert Bucket(address).create(name, [data])
        with pytest.raises(Damaged, match="bytes have changed"):
            store.objects.get(digest)


# What is kept on this machine.


def kept(store: Store) -> list[Path]:
    return sorted((store.path / "kept").iterdir())


def test_what_was_read_is_kept_and_not_asked_for_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(address) as store:
        with store.objects.writing() as writer:
            digest = writer.put([b"x" * 500])
        assert bytes(store.objects.get(digest)) == b"x" * 500
        assert len(kept(store)) == 1
    monkeypatch.setattr(Bucket, "read_range", None)
    with Store.open(address) as store:
        assert bytes(store.objects.get(digest)) == b"x" * 500
        assert store.objects.get(digest).readonly


@pytest.mark.parametrize("hurt", ["flip", "cut", "seal", "empty", "gone"])
def test_a_kept_copy_that_was_changed_is_fetched_again(address: str, hurt: str) -> None:
    with Store.open(address) as store:
        with store.objects.writing() as writer:
            digest = writer.put([b"x" * 500])
        store.objects.get(digest)
        [path] = kept(store)
    data = path.read_bytes()
    changed = {"flip": b"y" + data[1:], "cut": data[:-1], "seal": data[:-1] + b"g", "empty": b"", "gone": None}[hurt]
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    with Store.open(address) as store:
        assert bytes(store.objects.get(digest)) == b"x" * 500
        assert path.read_bytes() == data


def test_what_is_kept_stays_under_its_limit(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERWISE_CACHE_BYTES", "20000")
    with Store.open(address) as store:
        with store.objects.writing() as writer:
            digests = [writer.put([bytes([number]) * 3000]) for number in range(20)]
            large = writer.put([b"x" * 6000])
        for digest in [*digests, large]:
            assert len(store.objects.get(digest)) in (3000, 6000)
            assert sum(path.stat().st_size for path in kept(store)) <= 20000
        assert kept(store)


def test_a_disk_that_is_full_only_makes_it_slower(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store.open(address) as store:
        with store.objects.writing() as writer:
            digest = writer.put([b"x" * 500])
        monkeypatch.setattr(Disk, "write", full)
        assert bytes(store.objects.get(digest)) == b"x" * 500


@pytest.mark.parametrize("said", ["-1", "ten", "1e9", "9" * 30])
def test_a_limit_that_is_none_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERWISE_CACHE_BYTES", said)
    with pytest.raises(InvalidConfig, match="LAYERWISE_CACHE_BYTES"):
        kept_limit()

"""A bucket as a place for files: made once, read whole, never guessed; a store that is not to be trusted is refused."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

import pytest

from layerwise.errors import (
    Damaged,
    InvalidConfig,
    InvalidFile,
    InvalidName,
    NotFound,
    Unreachable,
    Unsupported,
)
from layerwise.store.bucket import bucket as module
from layerwise.store.bucket.bucket import Bucket
from layerwise.store.bucket.remote import is_remote, parse_remote, working_folder
from tests.support.counts import report
from tests.support.fake_s3 import DENIES, FORGETS, HONEST, IGNORES, LACKS, LIES, fake
from tests.support.s3 import environment, moto, new_bucket

SECRET = "hunter2-9b1c"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.002)


def pointed(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    pointed(monkeypatch, moto())
    return Bucket(f"s3://{new_bucket(moto())}/team/a", patience=20)


def together(count: int, act: Callable[[int], None]) -> None:
    gate = threading.Barrier(count)

    def work(number: int) -> None:
        gate.wait(timeout=30)
        act(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_what_was_made_is_read_back(bucket: Bucket) -> None:
    bucket.publish("packs/ab/1.pack", [b"hello", memoryview(b" "), bytearray(b"world")])
    assert bytes(bucket.read("packs/ab/1.pack")) == b"hello world"
    assert bytes(bucket.read_range("packs/ab/1.pack", 4, 7)) == b"o w"
    assert bytes(bucket.read_range("packs/ab/1.pack", 8, 100)) == b"rld"
    assert bytes(bucket.read_range("packs/ab/1.pack", 11, 12)) == b""
    assert bytes(bucket.read_range("packs/ab/1.pack", 50, 60)) == b""
    assert bytes(bucket.read_range("packs/ab/1.pack", 3, 3)) == b""
    assert bucket.read("packs/ab/1.pack").readonly
    assert bucket.exists("packs/ab/1.pack")


def test_an_empty_file_is_a_file(bucket: Bucket) -> None:
    assert bucket.create("empty", [])
    assert bytes(bucket.read("empty")) == b""
    assert bucket.exists("empty")


def test_what_is_not_there_is_said_to_be_absent(bucket: Bucket) -> None:
    for look in (
        bucket.read,
        lambda name: bucket.read_range(name, 0, 3),
        lambda name: bucket.move(name, "trash/1.pack"),
    ):
        with pytest.raises(FileNotFoundError):
            look("packs/ab/1.pack")
    assert not bucket.exists("packs/ab/1.pack")
    bucket.discard("packs/ab/1.pack")


def test_of_two_files_of_one_name_the_first_stays(bucket: Bucket) -> None:
    assert bucket.create("config.json", [b"one"])
    assert not bucket.create("config.json", [b"two"])
    assert bucket.create("config.json", [b"o", b"ne"])  # equal bytes: it is there
    assert bytes(bucket.read("config.json")) == b"one"


def test_a_file_whose_name_stands_for_its_bytes_is_never_replaced_by_others(bucket: Bucket) -> None:
    bucket.publish("packs/ab/1.pack", [b"one"])
    bucket.publish("packs/ab/1.pack", [b"one"])
    with pytest.raises(Damaged, match=r"packs/ab/1\.pack is there with other bytes"):
        bucket.publish("packs/ab/1.pack", [b"two"])
    assert bytes(bucket.read("packs/ab/1.pack")) == b"one"


def test_a_large_file_goes_in_parts_and_comes_back_whole(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MULTIPART_BYTES", 1 << 20)
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    pieces = [secrets.token_bytes(3 << 20) for _ in range(4)] + [b"end"]
    for _ in range(2):
        bucket.publish("packs/ab/1.pack", pieces)
    assert bytes(bucket.read("packs/ab/1.pack")) == b"".join(pieces)
    monkeypatch.setattr(module, "COPY_BYTES", 1 << 20)
    bucket.move("packs/ab/1.pack", "trash/1.pack")
    assert bytes(bucket.read("trash/1.pack")) == b"".join(pieces)


def test_a_file_that_moved_is_under_its_new_name_only(bucket: Bucket) -> None:
    bucket.publish("packs/ab/1.pack", [b"one"])
    bucket.move("packs/ab/1.pack", "trash/1.pack")
    bucket.move("packs/ab/1.pack", "trash/1.pack")  # an answer may have been lost: moved is moved
    assert bytes(bucket.read("trash/1.pack")) == b"one"
    assert not bucket.exists("packs/ab/1.pack")
    bucket.discard("trash/1.pack")
    assert bucket.list("trash") == []


def test_a_folder_is_listed_by_the_names_in_it(bucket: Bucket) -> None:
    for name in ("packs/ab/2.pack", "packs/ab/1.pack", "packs/cd/3.pack", "config.json", "packs-old/x"):
        bucket.create(name, [name.encode()])
    assert bucket.list() == ["config.json", "packs", "packs-old"]
    assert bucket.list("packs") == ["ab", "cd"]
    assert bucket.list("packs/ab") == ["1.pack", "2.pack"]
    assert bucket.list("nothing") == []


def test_a_file_over_the_limit_is_refused_before_it_is_read(bucket: Bucket) -> None:
    bucket.create("config.json", [b"x" * 1000])
    with pytest.raises(InvalidFile, match=r"1,000 bytes; expected at most 999"):
        bucket.read("config.json", 999)


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a//b", "a/../b", "A", "a b", "", "a\0b", "x" * 500, "a/b/c/d/e", "%2e%2e"]
)
def test_a_name_that_layerwise_would_not_make_is_refused(bucket: Bucket, name: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: bucket.create(name, [b""]), lambda: bucket.publish(name, [b""]), lambda: bucket.discard(name),
        lambda: bucket.move("a", name), lambda: bucket.move(name, "a"), lambda: bucket.exists(name),
    ]  # fmt: skip
    bucket.create("a", [b""])
    for act in acts if name else acts[:2]:
        with pytest.raises(InvalidName):
            act()


def test_of_many_who_make_one_name_at_once_one_is_first(bucket: Bucket) -> None:
    """40 races of 8: the one who is told that it won is the one whose bytes are there."""
    bad = 0
    bucket.probe()
    for race in range(40):
        won: list[int] = []

        def make(number: int, race: int = race, won: list[int] = won) -> None:
            won.extend([number] if bucket.create(f"race/{race}", [b"%d" % number]) else [])

        together(8, make)
        bad += len(won) != 1 or bytes(bucket.read(f"race/{race}")) != b"%d" % won[0]
    report("conditional puts, races of 8 with other than one winner", 40, bad)
    assert bad == 0


# Stores that are not to be trusted.


@pytest.mark.parametrize("manner", [IGNORES, LIES, LACKS])
def test_a_store_that_does_not_honour_the_condition_is_refused(manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(manner) as (endpoint, files):
        pointed(monkeypatch, endpoint)
        untrusted = Bucket("s3://bucket/prefix", patience=10)
        for _ in range(2):
            with pytest.raises(Unsupported):
                untrusted.create("config.json", [b"{}"])
            with pytest.raises(Unsupported):
                untrusted.publish("packs/ab/1.pack", [b"x" * 100])
        assert files == {}, "nothing was written, and the probe was removed"


def test_a_store_that_forgets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(FORGETS) as (endpoint, _):
        pointed(monkeypatch, endpoint)
        with pytest.raises(Unsupported, match="does not honour conditional puts"):
            Bucket("s3://bucket/prefix", patience=10).create("config.json", [b"{}"])


def test_an_honest_store_is_probed_once_a_process_and_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(HONEST) as (endpoint, files):
        pointed(monkeypatch, endpoint)
        for _ in range(2):
            Bucket("s3://bucket/prefix", patience=10).create("config.json", [b"{}"])
        assert list(files) == ["/bucket/prefix/config.json"]


def test_a_refusal_is_told_with_its_cure_and_without_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(DENIES) as (endpoint, _):
        pointed(monkeypatch, endpoint)
        with pytest.raises(
            Unreachable, match=r"refused to write s3://bucket/prefix/probe/.* \(403 AccessDenied\)"
        ) as told:
            Bucket("s3://bucket/prefix", patience=10).create("config.json", [b"{}"])
        assert "127.0.0.1" not in str(told.value)
        assert "testing-secret" not in str(told.value)
        assert told.value.__cause__ is None


def test_a_store_that_is_not_there_is_told_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake(HONEST) as (endpoint, _):
        pass
    pointed(monkeypatch, endpoint)
    gone = Bucket("s3://bucket/prefix", patience=2)
    with pytest.raises(Unreachable, match="no connection"):
        gone.read("config.json")
    with pytest.raises(Unreachable, match="it is not known whether anything was written"):
        gone.create("config.json", [b"{}"])


def test_a_bucket_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pointed(monkeypatch, moto())
    absent = Bucket("s3://no-such-bucket-here/prefix", patience=20)
    with pytest.raises(NotFound, match="there is no bucket"):
        absent.read("config.json")
    with pytest.raises(NotFound, match="there is no bucket"):
        absent.create("config.json", [b"{}"])


# Addresses and credentials.


@pytest.mark.parametrize(
    "address",
    [
        *(
            f"s3://user:{SECRET}@bucket/x",
            f"s3://{SECRET}@bucket/x",
            f"s3://bucket/x?token={SECRET}",
            f"s3://bucket#{SECRET}",
        ),
        *(f"https://bucket/{SECRET}", f"file:///{SECRET}", f"s3://bucket:9000/{SECRET}", f"s3://bucket/../{SECRET}"),
        *(
            f"s3://bucket//{SECRET}",
            f"s3:///{SECRET}",
            f"s3://b/{SECRET}",
            f"s3://bucket/%2e%2e/{SECRET}",
            f"S3://bucket/{SECRET}",
        ),
        *(f"s3://bucket/{SECRET}\n", f"s3://bucket/{SECRET}\0", f"s3://bucket/{SECRET}/" + "x" * 2000),
    ],
)
def test_an_address_that_is_not_one_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidName) as told:
        Bucket(address)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "address", ["s3://bucket", "s3://bucket/", "s3://my.bucket/a/b_c/d.e", "gs://bucket/x", "az://box/x"]
)
def test_an_address_is_one_with_or_without_its_last_slash(address: str) -> None:
    assert parse_remote(address) == address.rstrip("/")
    assert is_remote(address)
    assert not is_remote(".layerwise")
    assert not is_remote("C:\\repository")


def test_without_credentials_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment(""):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidConfig, match="AWS_ACCESS_KEY_ID"):
        Bucket("s3://bucket/x")


def test_each_store_and_repository_has_a_working_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERWISE_CACHE", "/somewhere")
    found = [working_folder("s3://bucket/x", "1")]
    pointed(monkeypatch, "http://other:9000")
    found += [
        working_folder("s3://bucket/x", "1"),
        working_folder("s3://bucket/y", "1"),
        working_folder("s3://bucket/x", "2"),
    ]
    assert len(set(found)) == 4
    assert all(folder.parent.as_posix() == "/somewhere/layerwise" for folder in found)

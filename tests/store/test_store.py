"""Opening a repository: what is made, what is refused, what is swept."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from layerwise.errors import InvalidFile, NotFound, Unsupported
from layerwise.store.store import Store


def test_a_repository_is_what_the_page_says(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        config = json.loads((store.path / "config.json").read_bytes())
        assert set(config) == {"created", "format", "id"}
        assert (config["format"], config["id"]) == (2, store.id)
        assert store.catalog.names("model") == []
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        *("config.json", "catalog.sqlite", "catalog.lock", "tmp.lock", "packs", "tmp", "runs", "trash", "damaged"),
    }


def test_it_is_the_same_one_when_opened_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as first, Store.open(tmp_path / "r", create=False) as second:
        assert first.id == second.id


def test_none_is_made_when_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="layerwise data add"):
        Store.open(tmp_path / "r", create=False)
    assert not (tmp_path / "r").exists()


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(InvalidFile, match=r"holds other things \('thesis.tex'\)"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_repository_half_made_is_finished(tmp_path: Path) -> None:
    for name in ("packs", "tmp"):
        (tmp_path / "r" / name).mkdir(parents=True)
    with Store.open(tmp_path / "r") as store:
        assert store.catalog.names("model") == []


def test_many_may_make_it_at_once(tmp_path: Path) -> None:
    found: list[str] = []

    def work(path: Path) -> None:
        with Store.open(path) as store:
            store.catalog.names("model")
            found.append(store.id)

    for round in range(1, 6):
        path = tmp_path / f"r{round}"
        threads = [threading.Thread(target=work, args=(path,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 6 * round
        assert len(set(found)) == round


def test_a_newer_format_is_refused_before_anything_else_is_opened(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        store.catalog.names("model")
    config = tmp_path / "r" / "config.json"
    config.write_text('{"format": 3, "anything": []}')
    (tmp_path / "r" / "catalog.sqlite").write_bytes(b"of a kind not known yet")
    with pytest.raises(Unsupported, match="of format 3 and this Layerwise reads up to 2; install a newer"):
        Store.open(tmp_path / "r")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": "1"}', '{"format": true}', '{"format": 0}', '{"format": 1.0}', '{"format": 1}'),
        *('{"format": 1, "format": 2}', '{"format": NaN}', "[" * 10_000, " " * 1_000_001, '{"format": 1, "id": 7}'),
    ],
)
def test_a_config_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    with Store.open(tmp_path / "r"):
        pass
    (tmp_path / "r" / "config.json").write_text(text)
    with pytest.raises(InvalidFile, match=r"config\.json"):
        Store.open(tmp_path / "r")


def test_unknown_settings_are_let_be(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        path = store.path / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "note": "ours"}))
    with Store.open(tmp_path / "r") as again:
        assert again.id == store.id


def test_files_of_the_dead_are_swept_on_opening(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r"):
        pass
    (tmp_path / "r" / "tmp" / "12345-0123456789abcdef").write_bytes(b"half a pack")
    with Store.open(tmp_path / "r"):
        assert list((tmp_path / "r" / "tmp").iterdir()) == []

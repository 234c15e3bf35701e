"""The registry: how a kind enters, which version is found, who is named when it fails, and how options are held."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidLayer
from layerwise.graph import kinds
from layerwise.graph.kinds import Kind, describe_type, fit_type, make, plain, register, registered, shortest
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port


@dataclass(frozen=True)
class Passing(Kind):
    """Passes on what it gets."""

    rate: float = 0.5
    sizes: tuple[int, ...] = ()
    names: Mapping[str, Any] = field(default_factory=dict)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return inputs[0]


def versions_of(name: str, *numbers: int) -> None:
    """Register a kind in several versions, each with a class of its own."""
    for number in numbers:
        cls = type(f"{name.title()}{number}", (Passing,), {"__module__": __name__})
        register(name, number)(dataclass(frozen=True)(cls))


def test_a_kind_enters_by_the_decorator_and_is_found_by_its_name() -> None:
    assert register("passing")(Passing) is Passing
    assert make("passing", {"rate": 1}) == Passing(rate=1.0)
    assert make("passing.v1", {}).title == "passing.v1"
    assert "passing" in registered()


def test_entering_the_same_class_again_changes_nothing() -> None:
    register("passing")(Passing)
    register("passing")(Passing)
    assert registered()["passing"] is Passing


def test_a_name_that_is_taken_says_by_whom() -> None:
    register("passing")(Passing)
    other = type("Other", (Passing,), {})
    with pytest.raises(InvalidLayer, match=r"passing\.v1 is Passing already; use another name or version"):
        register("passing")(other)
    assert registered()["passing"] is Passing


def test_old_descriptions_still_load_when_a_better_version_comes() -> None:
    versions_of("step", 1)
    old = Layer("a", "step").describe()
    versions_of("step", 2)
    assert Layer("a", "step").kind == "step.v2"
    assert Layer.from_description("a", old).kind == "step.v1"
    assert Layer.from_description("a", old).describe() == old


def test_a_version_that_is_not_there_is_answered_with_those_that_are() -> None:
    versions_of("step", 1, 2)
    for wrong in ("step.v3", "step.v0"):
        with pytest.raises(InvalidLayer, match=r"there is v1, v2"):
            make(wrong, {})


@pytest.mark.parametrize("kind", ["step.v", "step.v٢", "step.v-1", "step.v99999", "step.v1.v1", "", ".v1", "step "])
def test_what_is_almost_a_kind_is_unknown_not_guessed(kind: str) -> None:
    versions_of("step", 1, 2)
    with pytest.raises(InvalidLayer, match="there is no kind"):
        make(kind, {})


def test_a_kind_is_written_without_its_version_only_where_that_is_the_newest() -> None:
    versions_of("step", 1, 2)
    assert [shortest(title) for title in ("step.v2", "step.v1", "torch.nn.Linear", "gone.v1")] == [
        "step",
        "step.v1",
        "torch.nn.Linear",
        "gone.v1",
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("scael", "Did you mean 'scale'"),
        ("conv", "Did you mean 'torch.nn.Conv2d'"),
        ("CONV", "Did you mean 'torch.nn.Conv2d'"),
        ("os.system", "There is: "),
        ("\x1b[31m" * 50, "There is: "),
    ],
)
def test_an_unknown_kind_is_answered_with_the_nearest(kind: str, said: str) -> None:
    with pytest.raises(InvalidLayer, match="there is no kind") as caught:
        make(kind, {})
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_family_found_by_rule_is_asked_after_the_names() -> None:
    assert make("torch.nn.Conv2d", {"out_channels": 3}).options() == {"out_channels": 3}


@dataclass
class Point:
    """An entry point that an installed package offers."""

    name: str
    value: str
    load: Callable[[], object]


def offer(monkeypatch: pytest.MonkeyPatch, *points: Point) -> list[str]:
    """Make the packages that are installed offer these entry points, and return the groups that are asked for."""
    asked: list[str] = []

    def entry_points(*, group: str) -> list[Point]:
        asked.append(group)
        return list(points)

    monkeypatch.setattr(kinds, "entry_points", entry_points)
    monkeypatch.setattr(kinds, "_loaded", False)
    return asked


def test_a_package_offers_its_kinds_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = offer(monkeypatch, Point("mine", "my_kinds", lambda: register("passing")(Passing)))
    assert make("passing", {}) == Passing()
    make("passing", {})
    assert asked == ["layerwise.kinds"], "asked once, however many kinds are made"


def test_a_broken_package_is_named_and_so_is_what_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no module named 'gone'")

    offer(monkeypatch, Point("good", "good_kinds", lambda: None), Point("theirs", "their_kinds", broken))
    for _ in range(2):
        with pytest.raises(InvalidLayer, match=r"'their_kinds' \(entry point 'theirs'\) do not load: no module named"):
            make("scale", {})


GOOD: list[tuple[Any, Any, Any]] = [
    (3, int, 3),
    (3, float, 3.0),
    (0.5, float, 0.5),
    ("a", str, "a"),
    (True, bool, True),
    (None, int | None, None),
    (3, int | None, 3),
    (3, int | tuple[int, ...], 3),
    ([3, 4], int | tuple[int, ...], (3, 4)),
    ([], tuple[int, ...], ()),
    ([1, 2], tuple[int, int], (1, 2)),
    (["a", 2], tuple[str, int], ("a", 2)),
    ([[1], [2]], tuple[tuple[int, ...], ...], ((1,), (2,))),
    (["a", None], tuple[str | None, ...], ("a", None)),
    ("same", Literal["same", "valid"], "same"),
    (1, Literal[1, 2], 1),
    ({"a": 1}, Mapping[str, int], {"a": 1}),
    ([1, "a", None], Any, [1, "a", None]),
    ([1], list[int], [1]),
]

BAD: list[tuple[Any, Any, str]] = [
    (True, int, "a whole number"),
    (3.0, int, "a whole number"),
    ("3", int, "a whole number"),
    (True, float, "a number"),
    (math.nan, float, "a number"),
    (math.inf, float, "a number"),
    (10**400, float, "a number"),
    ("1e-3", float, "a number"),
    (3, str, "a text"),
    (None, str, "a text"),
    (1, bool, "true or false"),
    ("yes", bool, "true or false"),
    ("3", int | None, "a whole number or nothing"),
    ("ab", tuple[str, ...], "a list of texts"),
    ([1, "2"], tuple[int, ...], "a list of whole numbers"),
    ([1, 2, 3], tuple[int, int], "a list of 2 whole numbers"),
    ({"a": 1}, tuple[int, ...], "a list of whole numbers"),
    ("full", Literal["same", "valid"], "'same' or 'valid'"),
    (True, Literal[1, 2], "1 or 2"),
    ([1], Mapping[str, int], "a mapping"),
    (3, list[int], "list"),
]


@pytest.mark.parametrize(("value", "hint", "fits"), GOOD, ids=str)
def test_an_option_becomes_what_its_type_wants(value: Any, hint: Any, fits: Any) -> None:
    found = fit_type(value, hint, "size")
    assert found == fits
    assert type(found) is type(fits)


@pytest.mark.parametrize(("value", "hint", "wanted"), BAD, ids=lambda value: str(value)[:30])
def test_an_option_of_the_wrong_type_says_what_was_found_and_what_is_expected(
    value: Any, hint: Any, wanted: str
) -> None:
    with pytest.raises(InvalidLayer) as caught:
        fit_type(value, hint, "size")
    assert str(caught.value).startswith("the option 'size' is ")
    assert wanted in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_gets_anything_but_invalid_layer_out_of_a_type(value: Any) -> None:
    for hint in {str(hint): hint for _, hint, _ in GOOD + BAD}.values():
        with contextlib.suppress(InvalidLayer):
            fit_type(value, hint, "size")


def test_every_type_of_an_option_can_be_said() -> None:
    assert describe_type(tuple[float, ...] | None) == "a list of numbers or nothing"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": 3}, "no option 'unit'. Did you mean 'units'?"),
        ({}, "the option 'units' (a whole number) is missing: write units: …"),
        ({"units": 3, "\x1b": 1}, "no option '\\x1b'. There is: activation, units."),
        ({"units": "many"}, "the option 'units' is 'many'; expected a whole number"),
        ({"units": 3, "activation": "rellu"}, "expected 'relu' or 'gelu' or nothing"),
    ],
)
def test_options_are_held_to_the_fields_of_the_kind(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        make("dense", options)
    assert said in str(caught.value)


def test_only_options_that_differ_from_their_defaults_are_written() -> None:
    assert Passing().options() == {}
    assert Passing(sizes=(1, 2), names={"a": (1,)}).options() == {"sizes": [1, 2], "names": {"a": [1]}}
    assert plain((1, [(2,)])) == [1, [[2]]]


def test_a_kind_made_by_hand_is_the_kind_that_a_file_makes() -> None:
    register("passing")(Passing)
    by_hand = Layer("a", Passing(rate=2, sizes=[1]))  # type: ignore[arg-type]
    from_file = Layer.from_description("a", {"kind": "passing", "rate": 2, "sizes": [1]})
    assert by_hand == from_file
    assert repr(by_hand.options) == repr(from_file.options) == "{'rate': 2.0, 'sizes': [1]}"
    assert dataclasses.is_dataclass(by_hand.action)


def test_a_kind_made_by_hand_with_a_wrong_option_names_the_layer() -> None:
    register("passing")(Passing)
    with pytest.raises(InvalidLayer, match=r"layer 'a': the option 'rate' is 'fast'; expected a number"):
        Layer("a", Passing(rate="fast"))  # type: ignore[arg-type]

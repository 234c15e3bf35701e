"""A user's function is a layer under its name: found in the program, kept with its source, and told what it did."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value
from layerwise.layers.functions import Function, function
from layerwise.layers.sources import find_function, name_of, sources

Array = np.ndarray[Any, Any]

FACTOR = 703.0
TABLE = np.array([1.0, 2.0])
UNTEXTED = object()


def squared(x: Array) -> Array:
    """Return x²."""
    product: Array = x * x
    return product


class Unit:
    """What a function may use."""

    def convert(self, x: Array) -> Array:
        """Return x in another unit."""
        product: Array = FACTOR * x
        return product


def bmi(weight: Array, height: Array) -> Array:
    """Return the body mass index."""
    index: Array = Unit().convert(weight) / squared(height) + 0 * TABLE.sum()
    return index if UNTEXTED else height


def initials(names: pa.Array) -> pa.Array:
    """Return the first letters."""
    return pc.utf8_slice_codeunits(names, 0, 1)


def table(x: Array) -> Array:
    """Return two features of a number, as float64."""
    return np.stack([x, x + 1], axis=1).astype(np.float64)


def fails(x: Array) -> Array:
    """Fail."""
    raise KeyError("no such unit")


def fails_on_ones(x: Array) -> Array:
    """Return x, where it is not 1."""
    assert not (x == 1).any()
    return x


def writes(x: Array) -> Array:
    """Write into its input."""
    x[:] = 0
    return x


def totals(x: Array) -> Array:
    """Return one row."""
    return x[:1]


def listed(x: Array) -> Any:
    """Return a list."""
    return x.tolist()


def as_tensor(x: Array) -> Any:
    """Return a tensor."""
    return torch.from_numpy(x.astype(np.float64))


def chunked(names: pa.Array) -> Any:
    """Return a chunked array."""
    return pa.chunked_array([names[:1], names[1:]])


def words(x: Array) -> Any:
    """Return text."""
    return np.array(["a"] * len(x))


def logged(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Decorate a function."""

    @functools.wraps(f)
    def run(x: Array) -> Array:
        return f(x)

    return run


@logged
def decorated(x: Array) -> Array:
    """Return twice x²."""
    return 2 * squared(x)


HERE = __name__


def run(f: Callable[..., Any], *inputs: Value) -> Any:
    """Return what the layer of ``f`` makes of a batch."""
    found = function(f).run(*inputs, state={})
    return found.to_pylist() if isinstance(found, pa.Array) else torch.as_tensor(found).tolist()


def test_numbers_come_as_numpy_and_all_else_as_arrow() -> None:
    assert run(bmi, torch.tensor([150.0]), pa.array([65])) == [pytest.approx(703 * 150 / 65**2)]
    assert run(initials, pa.array(["Ada", None])) == ["A", None]
    assert run(table, pa.array([1.0, 2.0])) == [[1, 2], [2, 3]]
    assert run(as_tensor, torch.ones(2)) == [1, 1]
    assert run(chunked, pa.array(["a", "b"])) == ["a", "b"]
    assert run(words, torch.ones(2)) == ["a", "a"]
    assert run(decorated, torch.tensor([3.0])) == [18]


PORTS = [
    (bmi, (Port("float32"), Port("int64")), Port("float32")),
    (table, (Port("float32"),), Port("float32", (2,))),
    (squared, (Port("uint8", (3, 4)),), Port("uint8", (3, 4))),
    (initials, (Port("string"),), Port("string")),
    (words, (Port("float32"),), Port("string")),
    (squared, (Port("float32", (None,)),), Port("unknown")),
    (squared, (Port("unknown"),), Port("unknown")),
]


@pytest.mark.parametrize(("f", "ports", "wanted"), PORTS)
def test_the_port_is_found_on_two_rows_of_ones(f: Callable[..., Any], ports: tuple[Port, ...], wanted: Port) -> None:
    assert function(f).infer(ports) == wanted


def test_a_port_that_is_said_is_not_tried() -> None:
    assert function(fails, dtype="float32", shape=(3,)).infer((Port("int64"),)) == Port("float32", (3,))
    assert function(fails, dtype="int64").infer((Port("unknown"),)) == Port("int64")


def test_its_name_finds_it_again_and_its_options_come_back() -> None:
    kind = function(bmi, dtype="float32")
    assert kind.options() == {"function": f"{HERE}.bmi", "dtype": "float32"}
    assert make("function", kind.options()) == kind


def test_its_source_is_kept_with_all_of_the_users_that_it_uses() -> None:
    code = function(bmi).code
    assert list(code) == [f"{HERE}.{name}" for name in ("FACTOR", "TABLE", "Unit", "bmi", "squared")]
    assert code[f"{HERE}.squared"].startswith("def squared(x: Array)")
    assert code[f"{HERE}.FACTOR"] == "703.0"
    assert code[f"{HERE}.TABLE"].startswith("array float64 [2] ")
    assert f"{HERE}.squared" in function(decorated).code


def test_a_constant_that_changes_changes_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = function(bmi).code
    monkeypatch.setattr(sys.modules[HERE], "FACTOR", 1.0)
    assert function(bmi).code != before


def test_functions_in_modules_of_the_users_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "units.py").write_text("RATE = 2\ndef convert(x):\n    return RATE * x\n")
    (tmp_path / "prices.py").write_text("import units\ndef price(x):\n    return units.convert(x)\n")
    monkeypatch.syspath_prepend(tmp_path)
    import prices  # type: ignore[import-not-found]

    assert list(function(prices.price).code) == ["prices.price", "units.RATE", "units.convert"]


def nested() -> Callable[[Any], Any]:
    """Return a function inside another one."""

    def inner(x: Any) -> Any:
        return x

    return inner


UNNAMED: list[tuple[Any, str]] = [
    (lambda x: x, "write it with `def` and a name at the top level"),
    (nested(), "nested.<locals>.inner cannot be found again by its name"),
    (np.log1p, "no Python function; write one at the top level of a module that calls it"),
    (Unit().convert, "no Python function"),
]


@pytest.mark.parametrize(("f", "message"), UNNAMED)
def test_what_has_no_name_of_its_own_is_refused(f: Any, message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        function(f)


def test_another_thing_under_the_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    f = squared
    monkeypatch.setattr(sys.modules[HERE], "squared", table)
    with pytest.raises(InvalidLayer, match=r"under the name .*squared stands something else"):
        function(f)


NOT_THERE = [
    ("features.age", "the function features.age is not in the running program; import it before, or run `layerwise"),
    (f"{HERE}.nothing", "is not in the running program"),
    ("os.system", "os.system is a builtin_function_or_method, and a function is expected"),
    ("subprocess.call", "subprocess.call is defined in a library; write one of your own that calls it"),
    ("shutil.rmtree", "is defined in a library"),
    (f"{HERE}.functools.wraps", "is defined in a library"),
    ("torch.load", "is defined in a library"),
    ("layerwise.layers.sources.find_function", "is defined in a library"),
    (f"{HERE}.Unit", "is a type, and a function is expected"),
    (f"{HERE}.FACTOR", "is a float, and a function is expected"),
    ("print", "is not the name of a function"),
    ("../x.f", "is not the name of a function"),
    ("a." * 200 + "b", "is not the name of a function"),
]


@pytest.mark.parametrize(("name", "message"), NOT_THERE)
def test_names_of_descriptions_find_only_the_users_functions(name: str, message: str) -> None:
    loaded = set(sys.modules)
    with pytest.raises(InvalidLayer, match=message):
        make("function", {"function": name})
    assert set(sys.modules) == loaded


def test_a_function_of_a_library_is_found_once_the_program_named_it() -> None:
    library = types.ModuleType("installed_features")
    library.__file__ = "/usr/lib/python3/dist-packages/installed_features.py"
    clone = types.FunctionType(squared.__code__, globals(), "squared")
    clone.__module__, clone.__qualname__ = "installed_features", "squared"
    library.__dict__["squared"] = clone
    sys.modules["installed_features"] = library
    try:
        with pytest.raises(InvalidLayer, match="is defined in a library"):
            find_function("installed_features.squared")
        assert name_of(clone) == "installed_features.squared"
        assert find_function("installed_features.squared") is clone
    finally:
        del sys.modules["installed_features"]


def test_a_function_of_main_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clone = types.FunctionType(squared.__code__, globals(), "squared")
    clone.__module__, clone.__qualname__ = "__main__", "squared"
    monkeypatch.setattr(sys.modules["__main__"], "squared", clone, raising=False)
    kind = function(clone)
    assert make("function", kind.options()) == kind
    assert list(kind.code) == ["__main__.squared"]


WRONG: list[tuple[Callable[..., Any], Value, str]] = [
    (fails, torch.ones(2), "fails failed: KeyError: 'no such unit'"),
    (writes, torch.ones(2), "writes failed: ValueError: .*read-only"),
    (totals, torch.ones(2), "returned 1 rows for 2 rows; expected a NumPy"),
    (listed, torch.ones(2), "returned list for 2 rows; expected a NumPy"),
    (squared, pa.array([1, None]), "1 values of 2 are missing; put a `fill` layer"),
]


@pytest.mark.parametrize(("f", "value", "message"), WRONG)
def test_what_goes_wrong_inside_is_told(f: Callable[..., Any], value: Value, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        function(f).run(value, state={})


def test_the_users_own_error_stays_behind_ours() -> None:
    with pytest.raises(InvalidData) as caught:
        function(fails).run(torch.ones(1), state={})
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_function_that_fails_on_ones_is_asked_for_its_port() -> None:
    with pytest.raises(
        InvalidShape, match=r"on two rows of ones.*say what it returns: lw.function\(fails_on_ones, dtype="
    ):
        function(fails_on_ones).infer((Port("float32"),))
    assert torch.as_tensor(function(fails_on_ones).run(torch.zeros(1), state={})).tolist() == [0]


def test_padded_rows_are_refused() -> None:
    with pytest.raises(InvalidShape, match="put it before the pad"):
        function(squared).infer((Port("int64", (3,), padded=True),))
    with pytest.raises(InvalidShape, match="put it before the pad"):
        function(squared).run(Padded(torch.ones(1, 1), torch.ones(1, dtype=torch.int64)), state={})


@pytest.mark.parametrize("options", [{"dtype": "float3"}, {"shape": [2]}, {"dtype": 3}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"dtype|shape"):
        make("function", {"function": f"{HERE}.squared", **options})


def test_sources_follow_each_name_once() -> None:
    assert isinstance(function(squared), Function)
    assert list(sources(find_function(f"{HERE}.squared"))) == [f"{HERE}.squared"]

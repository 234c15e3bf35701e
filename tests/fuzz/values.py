"""Changes to JSON: wrong types, fields missing and too many, keys twice, numbers and texts that no parser likes.

>>> json.loads(changed({"a": [1, 2]}, Random(3)))
{'a': [1]}
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.fuzz import octets

DIGEST = "ab" * 32
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**39, -(2**63), 0.5, -0.0, 1e308,
    "", "x", "../../etc/passwd", "/dev/zero", "C:\\x", "a\0b", "\x1b[2J", "\n", "\u202e", "é", "e\u0301", "x" * 600,
    DIGEST, "1", [], [0], [-1, 0], [0, 2**62], [[]], {}, {"a": 1}, {"": ""}, "inf", "nan", "F64", "U8", "BOOL", "int64",
    "tensor<uint8>[8,8]", "tensor<float64>[999999999999,999999999999]", "list<list<int64>>", "timestamp[ns,Mars/Base]",
    "column", "classes", "torch.nn.Linear", "os.system", "builtins.eval", "__metadata__", "__row__", "pad.0",
)  # fmt: skip
"""What may stand where something else was."""

TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-0", "01", "1" * 41, "9" * 5000, '"\\ud800"', '"\\udc00\\ud800"', "'a'",
    "nul", '"\\u0000"', '"\ud83d\ude00"'.encode("utf-16", "surrogatepass").decode("utf-16"), "//", "[" * 70 + "]" * 70,
    '{"a":' * 70 + "1" + "}" * 70, "[" * 100_000, '"' + '\\"' * 2000, '{"a":1,"a":2}', "\ufeff", "1.0", "1E2",
)  # fmt: skip
"""What may stand in the text where a value was."""

Path = tuple[Any, ...]


def changed(value: Any, draw: Random) -> bytes:
    """Return the text of ``value`` after one to three changes to the value, or to the text."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        # A copy each time: a value that stands in two places could come to stand in itself.
        value = json.loads(json.dumps(draw.choice(CHANGES)(value, draw)))
    text = _text(value, draw)
    return octets.changed(text, [text], draw) if draw.random() < 0.15 else text


def walk(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the way to every value inside ``value``, itself first."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from walk(inner, (*path, key))


def at(value: Any, path: Path) -> Any:
    """Return what is at the end of the way."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """Return ``value`` with something else at the end of the way; it is changed in place where it can be."""
    if not path:
        return new
    at(value, path[:-1])[path[-1]] = new
    return value


def _odd(value: Any, draw: Random) -> Any:
    return replaced(value, draw.choice(list(walk(value))), copy.deepcopy(draw.choice(ODD)))


def _near(value: Any, draw: Random) -> Any:
    numbers = [path for path in walk(value) if type(at(value, path)) in (int, float)]
    if not numbers:
        return _odd(value, draw)
    path = draw.choice(numbers)
    old = at(value, path)
    return replaced(
        value, path, draw.choice((old + 1, old - 1, -old, old * 2, old * 2**32, float(old), str(old), [old]))
    )


def _swapped(value: Any, draw: Random) -> Any:
    one, other = (draw.choice([path for path in walk(value) if path] or [()]) for _ in range(2))
    if one[: len(other)] == other or other[: len(one)] == one:
        return value
    first, second = at(value, one), at(value, other)
    return replaced(replaced(value, one, second), other, first)


def _dropped(value: Any, draw: Random) -> Any:
    ways = [path for path in walk(value) if path]
    if ways:
        path = draw.choice(ways)
        del at(value, path[:-1])[path[-1]]
    return value


def _added(value: Any, draw: Random) -> Any:
    inside = at(value, draw.choice([path for path in walk(value) if isinstance(at(value, path), dict | list)] or [()]))
    if isinstance(inside, dict):
        inside[draw.choice([*inside, "more", "", "../x", "a\0", "__class__", "é" * 300])] = draw.choice(ODD)
    elif isinstance(inside, list):
        inside.insert(draw.randrange(len(inside) + 1), copy.deepcopy(draw.choice([*inside, *ODD])))
    return value


def _renamed(value: Any, draw: Random) -> Any:
    ways = [path for path in walk(value) if path and isinstance(path[-1], str)]
    if ways:
        path = draw.choice(ways)
        inside = at(value, path[:-1])
        inside[draw.choice([*inside, *(odd for odd in ODD if isinstance(odd, str))])] = inside.pop(path[-1])
    return value


def _wrapped(value: Any, draw: Random) -> Any:
    path = draw.choice(list(walk(value)))
    inner = at(value, path)
    for _ in range(draw.choice((1, 2, 70))):
        inner = [inner] if draw.random() < 0.5 else {"a": inner}
    return replaced(value, path, inner)


def _many(value: Any, draw: Random) -> Any:
    path = draw.choice(list(walk(value)))
    count = draw.choice((65, 300, 1000))
    inner = at(value, path)
    found = [inner] * count if draw.random() < 0.5 else {f"k{number}": inner for number in range(count)}
    # A copy each of a large thing would only be slow.
    return replaced(value, path, found) if len(json.dumps(inner)) < 200 else value


CHANGES: tuple[Callable[[Any, Random], Any], ...] = (
    _odd, _odd, _odd, _near, _near, _swapped, _dropped, _added, _renamed, _wrapped, _many,
)  # fmt: skip

_MARK = "\u2603mark\u2603"


def _text(value: Any, draw: Random) -> bytes:
    dice = draw.random()
    if dice < 0.12:  # a token that no value gives
        text = json.dumps(replaced(value, draw.choice(list(walk(value))), _MARK), ensure_ascii=False)
        text = text.replace(json.dumps(_MARK, ensure_ascii=False), draw.choice(TOKENS), 1)
    elif dice < 0.2:  # a key twice
        text = json.dumps(value, ensure_ascii=False)
        keys = [place for place, sign in enumerate(text) if sign == "{"]
        if keys:
            start = draw.choice(keys) + 1
            end = text.find(",", start)
            text = text[:start] + text[start : end + 1] + text[start:] if end > 0 else text
    else:
        text = json.dumps(value, ensure_ascii=draw.random() < 0.5, separators=(",", ":"), sort_keys=draw.random() < 0.8)
    return text.encode("utf-8", "surrogatepass")

"""Seeded changes of JSON documents and of bytes."""

import copy
import random
import struct
from collections.abc import Callable
from typing import Any

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
NUMBERS = (0, 1, -1, 2, 3, 7, 16, 255, 256, 1000, 1001, 4096, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 53, 1 << 62, 1 << 63,
           1 << 64, 10**30, 10**400, 0.5, -0.5, 1.5, 1e-9, 1e9, 1e30, 1e300, -1e300, 1e-300, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", " ", "a", "../../x", "/etc/passwd", "/dev/zero", "a\0b", "\x1b[2J\x1b]0;title\x07", "\u202eabc", "\ud800", "x" * 5000, "zeros",
         "empty", "encoder", "yes", "fp16", "float64", "int64", "NaN", "1e999", "é" * 100, "..", ".", "C:\\x", "a/b")
VALUES: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [0] * 3, ["a"], {"a": {"b": []}})


def bytes_changed(data: bytes, rng: random.Random, most: int = 6, other: bytes | None = None) -> bytes:
    """One to `most` changes of bits, fields and lengths; one alone as often as not.

    other : what pieces are taken from, by default `data`
    """
    changed = bytearray(data)
    for _ in range(few(rng, most)):
        if changed:
            rng.choice(CHANGES)(changed, other or data, rng)
    return bytes(changed)


def json_changed(document: Any, rng: random.Random, most: int = 4) -> Any:
    """A copy with one to `most` entries replaced, removed, doubled, renamed or nested; one alone as often as not."""
    changed = copy.deepcopy(document)
    for _ in range(few(rng, most)):
        places = list(_places(changed))
        if not places:
            return changed
        _change(*rng.choice(places), rng, places)
    return changed


def few(rng: random.Random, most: int) -> int:
    """A file that is wrong in one place gets deeper into the program than one that is wrong in many."""
    return 1 if rng.random() < 0.5 else rng.randint(1, most)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key of the document."""
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        keys = each.keys() if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        for key in list(keys)[:200]:
            found.append((each, key))
            waiting.append(each[key])
    return found


def _change(container: Any, key: Any, rng: random.Random, places: list[tuple[Any, Any]]) -> None:
    if isinstance(container, dict) and key not in container or isinstance(container, list) and key >= len(container):
        return  # an earlier change took it away
    what = rng.random()
    value = container[key]
    if what < 0.5:
        container[key] = _near(value, rng)
    elif what < 0.65:
        container[key] = copy.deepcopy(rng.choice(rng.choice((NUMBERS, NUMBERS, TEXTS, VALUES))))
    elif what < 0.72:
        del container[key]
    elif what < 0.8:
        other, name = rng.choice(places)
        if isinstance(other, dict) and name in other or isinstance(other, list) and name < len(other):
            container[key] = copy.deepcopy(other[name])
    elif what < 0.87 and isinstance(value, list):
        container[key] = value * rng.choice((2, 3, 1000))
    elif what < 0.94 and isinstance(container, dict):
        container[rng.choice(TEXTS)] = container.pop(key)
    else:
        for _ in range(rng.choice((1, 3, 100))):
            container[key] = [container[key]] if rng.random() < 0.5 else {"a": container[key]}


def _near(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind, often one that passes for right."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return rng.choice((-value, value * 2, value + 1, value - 1, value / 2, value * 1000, type(value)(rng.choice(NUMBERS[:12]))))
    if isinstance(value, str):
        return rng.choice((value[:-1], value + "x", value.upper(), value[::-1], rng.choice(TEXTS)))
    if isinstance(value, list):
        return rng.sample(value, len(value)) if rng.random() < 0.5 else value[:len(value) // 2]
    return dict(list(value.items())[:len(value) // 2])


def _place(data: bytearray, rng: random.Random, size: int = 1) -> int:
    """Where to change something: in the first bytes, which say the most, every other time."""
    end = max(len(data) - size, 0)
    return rng.randint(0, min(end, 80) if rng.random() < 0.5 else end)


def _flip(data: bytearray, other: bytes, rng: random.Random) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _scramble(data: bytearray, other: bytes, rng: random.Random) -> None:
    data[_place(data, rng)] = rng.randrange(256)


def _extreme(data: bytearray, other: bytes, rng: random.Random) -> None:
    code = rng.choice(("<B", "<H", ">H", "<I", ">I"))
    size = struct.calcsize(code)
    at = _place(data, rng, size)
    data[at:at + size] = struct.pack(code, rng.choice(EXTREMES) % 256**size)


def _cut(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at:at + rng.randint(1, 40)]


def _double(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at:at + rng.randint(1, 60)]


def _truncate(data: bytearray, other: bytes, rng: random.Random) -> None:
    del data[rng.randint(0, len(data)):]


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    start = rng.randrange(len(other))
    at = _place(data, rng)
    data[at:at + rng.choice((0, 40))] = other[start:start + rng.randint(1, 200)]


# Bits and fields more often than what tears a file apart.
CHANGES: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    _flip, _flip, _flip, _scramble, _scramble, _extreme, _extreme, _extreme, _cut, _double, _truncate, _splice)

"""A run along an axis that is too long for an engine becomes several."""

from __future__ import annotations

from collections.abc import Iterator

from .engine import Array, on_host
from .spec import TensorSpec


def parts(length: int, most: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of pieces that are as long as they may be, the last one excepted."""
    yield from ((start, min(start + most, length)) for start in range(0, length, most))


def along(tensor: TensorSpec, value: Array, axis: str, start: int, stop: int) -> Array:
    """A piece of a tensor in C order, or all of one that lacks the axis."""
    if axis not in tensor.shape:
        return value
    piece = on_host(value)[(slice(None),) * tensor.shape.index(axis) + (slice(start, stop),)]
    return piece.copy(order="C")

"""What a model takes and gives: names, dtypes, and shapes with named axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Axes = Mapping[str, int]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    dtype : a numpy name, such as "float32" or "int64"
    shape : a length for each axis, or the axis' name where the length may vary. Axes of one name have one
            length in one evaluation, in whichever tensors they stand.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {format_shape(self.shape)}"

    def resolve(self, axes: Axes) -> tuple[int, ...] | None:
        """The shape with its named axes replaced, or None where `axes` lacks one of them."""
        known = [axes.get(axis) if isinstance(axis, str) else axis for axis in self.shape]
        found = tuple(length for length in known if length is not None)
        return found if len(found) == len(known) else None


@dataclass(frozen=True)
class EngineSpec:
    """All inputs and outputs of a model, in the model's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def input(self, name: str) -> TensorSpec | None:
        """The input of that name, if there is one."""
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def output(self, name: str) -> TensorSpec | None:
        """The output of that name, if there is one."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


def format_shape(shape: tuple[int | str, ...]) -> str:
    """A shape in one form for messages: (1, points, 3)."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"

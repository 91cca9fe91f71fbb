"""Whether arrays are what a model takes. Each message names the tensor, what came and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .cuda.memory import DeviceArray
from .errors import TensorError
from .spec import EngineSpec, TensorSpec, format_shape


class AxisLengths:
    """The lengths of the named axes of one evaluation, learned from the tensors as they are checked."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}
        self._seen_in: dict[str, str] = {}

    def check(self, spec: TensorSpec, value: np.ndarray | DeviceArray) -> np.ndarray | DeviceArray:
        """`value` in C order and this machine's byte order. Raises TensorError if its dtype or shape is not that of `spec`."""
        array = value if isinstance(value, DeviceArray) else np.asarray(value)
        fits = array.dtype.name == spec.dtype and array.ndim == len(spec.shape)
        fixed = zip(spec.shape, array.shape, strict=False)
        if not fits or any(axis != length for axis, length in fixed if isinstance(axis, int)):
            raise TensorError(f"tensor {spec.name!r}", received=describe(array), expected=str(spec))
        for axis, length in zip(spec.shape, array.shape, strict=True):
            if isinstance(axis, str):
                self._learn(spec, axis, length)
        if isinstance(array, DeviceArray):
            return array
        return np.ascontiguousarray(array, spec.dtype).reshape(array.shape)  # without it a scalar would gain an axis

    def _learn(self, spec: TensorSpec, axis: str, length: int) -> None:
        known = self.lengths.setdefault(axis, length)
        first = self._seen_in.setdefault(axis, spec.name)
        if known != length:
            raise TensorError(f"axis {axis!r} of tensor {spec.name!r}", received=str(length),
                              expected=f"{known}, as in tensor {first!r}")


def describe(array: np.ndarray | DeviceArray) -> str:
    """A dtype and shape for messages: float32 (1, 5, 3)."""
    return f"{array.dtype.name} {format_shape(array.shape)}"


def check_names(given: Iterable[str], wanted: Sequence[str]) -> None:
    """Raise TensorError unless `given` are exactly the input names `wanted`, in any order."""
    given = list(given)
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted]
    twice = sorted({name for name in given if given.count(name) > 1})
    for problem, names in (("missing", missing), ("unknown", unknown), ("given twice:", twice)):
        if names:
            listed = ", ".join(map(repr, names))
            raise TensorError(f"{problem} input {listed}", received=", ".join(given) or "no tensor",
                              expected=", ".join(wanted) or "no tensor")


def check_outputs(keep: Iterable[str], spec: EngineSpec) -> None:
    """Raise TensorError unless all of `keep` are outputs."""
    unknown = [name for name in keep if spec.output(name) is None]
    if unknown:
        raise TensorError(f"unknown output {', '.join(map(repr, unknown))}", received=", ".join(keep),
                          expected=", ".join(tensor.name for tensor in spec.outputs))


def steps_of(per_step: Mapping[str, np.ndarray | DeviceArray]) -> int:
    """N, the length of the leading axis that all per-step arrays share. Raises TensorError if they don't."""
    if not per_step:
        raise TensorError("per_step", received="no tensor", expected="one or more, with a leading axis of N steps")
    lengths = {name: (value.shape if isinstance(value, DeviceArray) else np.shape(value))[:1] for name, value in per_step.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if not length:
            raise TensorError(f"per-step tensor {name!r}", received="a scalar", expected="a leading axis of N steps")
        if length != lengths[first]:
            raise TensorError(f"steps of tensor {name!r}", received=str(length[0]),
                              expected=f"{lengths[first][0]}, as in tensor {first!r}")
    return lengths[first][0]

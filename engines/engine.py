"""The two verbs of every backend: `run` evaluates a model once, `scan` evaluates it in a loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Literal, Self, overload

import numpy as np

from .cache.record import BlockChoice
from .checks import AxisLengths, check_names, check_outputs, steps_of
from .cuda.memory import DeviceArray, DeviceMemory
from .errors import EngineError, TensorError
from .spec import Axes, EngineSpec, TensorSpec

Array = np.ndarray | DeviceArray
Tensors = Mapping[str, Array]
OnStep = Callable[[int, int], None]
NEXT = "_next"


class Engine(ABC):
    """One loaded model. Use it from one thread at a time; a context manager closes it.

    Tensors are numpy arrays or device arrays. The public methods check names, dtypes and shapes once; a backend
    implements the hooks `_run`, `_scan` and `_close`, which get checked arrays in C order: numpy arrays, and device
    arrays that lie in `memory`.

    memory : where the engine keeps its tensors: a GPU's, or None for the host's
    block_choice : how the last scan was launched on a GPU, and what was measured; else None
    """

    spec: EngineSpec
    memory: DeviceMemory | None = None
    block_choice: BlockChoice | None = None
    _closed = False

    @overload
    def run(self, inputs: Tensors) -> dict[str, np.ndarray]: ...

    @overload
    def run(self, inputs: Tensors, *, keep: Collection[str]) -> dict[str, Array]: ...

    def run(self, inputs: Tensors, *, keep: Collection[str] = ()) -> Tensors:
        """Evaluate the model once: all inputs by name -> all outputs by name, in arrays of the caller's own.

        keep : outputs that stay where the engine keeps its tensors: device arrays on a GPU; the others are numpy arrays
        Raises TensorError (a wrong name, dtype or shape), BackendError (the vendor's failure, with its cause) or
        DeviceLost.
        """
        self._check_open()
        check_names(inputs, [tensor.name for tensor in self.spec.inputs])
        check_outputs(keep, self.spec)
        axes = AxisLengths()
        checked = {tensor.name: self._placed(axes.check(tensor, inputs[tensor.name])) for tensor in self.spec.inputs}
        return self._run(checked, axes.lengths, frozenset(keep))

    @overload
    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, *, keep: Literal[False] = False,
             on_step: OnStep | None = None) -> dict[str, np.ndarray]: ...

    @overload
    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, *, keep: bool,
             on_step: OnStep | None = None) -> dict[str, Array]: ...

    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, *, keep: bool = False,
             on_step: OnStep | None = None) -> Tensors:
        """Evaluate the model N times -> the carry after the last step, under the names it had in `carry`.

        carry     : tensors that the model hands to its own next step: the output `x_next` feeds the input `x`
        per_step  : arrays with a leading axis of N; step i gets slice i
        constants : tensors that every step gets alike
        keep      : the result stays where the engine keeps its tensors, as in `run`
        on_step   : called on the host as on_step(steps done, N) after each step, or, on a GPU, after each block of steps (`LoopOptions`);
                    what it raises ends the scan

        No array of the caller is written to. With N = 0 the carry comes back as it was. Raises as `run` does.
        """
        self._check_open()
        inputs = {tensor.name: tensor for tensor in self.spec.inputs}
        check_names([*carry, *per_step, *constants], list(inputs))
        steps, axes = steps_of(per_step), AxisLengths()
        checked = {name: self._placed(axes.check(self._carried(inputs[name]), value)) for name, value in carry.items()}
        fixed = {name: self._placed(axes.check(inputs[name], value)) for name, value in constants.items()}
        stacked = {name: self._placed(axes.check(_stacked(inputs[name], steps), value)) for name, value in per_step.items()}
        if steps == 0:
            return {name: self._copied(value, keep) for name, value in checked.items()}
        return self._scan(checked, stacked, fixed, axes.lengths, steps, on_step or ignore, keep)

    def refit(self, weights: Mapping[str, np.ndarray]) -> bool:
        """Put weights by name in the place of the model's; False where that cannot be done, and all is as it was."""
        return False

    def close(self) -> None:
        """Give the model's memory back. Closing twice does nothing; using a closed engine raises EngineError."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _run(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        """All outputs. `axes` holds the lengths of the inputs' named axes."""

    def _scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes, steps: int,
              on_step: OnStep, keep: bool) -> dict[str, Array]:
        """The plain meaning of `scan` on the host; a backend overrides it where it can keep buffers between steps."""
        carry = dict(carry)
        for i in range(steps):
            slices = {name: on_host(value)[i] for name, value in per_step.items()}
            outputs = self._run({**carry, **slices, **constants}, axes, frozenset())
            carry = {name: outputs[name + NEXT] for name in carry}
            on_step(i + 1, steps)
        return carry

    def _close(self) -> None:  # noqa: B027 (most backends hold nothing)
        """Give back what the backend holds."""

    def _placed(self, value: Array) -> Array:
        """`value`, brought to the host if it lies in a GPU's memory that is not this engine's."""
        return value.numpy() if isinstance(value, DeviceArray) and value.memory is not self.memory else value

    def _copied(self, value: Array, keep: bool) -> Array:
        host = value.numpy() if isinstance(value, DeviceArray) else value.copy()
        return self.memory.upload(host) if keep and self.memory is not None else host

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed", remedy="open it again")

    def _carried(self, before: TensorSpec) -> TensorSpec:
        """The spec of a carry input. Raises TensorError if no output of its dtype and shape feeds it."""
        name, after = before.name, self.spec.output(before.name + NEXT)
        if after is None:
            raise TensorError(f"carry {name!r}", expected=f"a model with an output {name + NEXT!r}",
                              received=", ".join(tensor.name for tensor in self.spec.outputs))
        if (before.dtype, before.shape) != (after.dtype, after.shape):
            raise TensorError(f"carry {name!r}", received=f"{after} from output {after.name!r}", expected=str(before))
        return before


def on_host(value: Array) -> np.ndarray:
    """The array itself, or a copy of what lies in a GPU's memory, as `DeviceArray.numpy`."""
    return value.numpy() if isinstance(value, DeviceArray) else value


def _stacked(spec: TensorSpec, steps: int) -> TensorSpec:
    return TensorSpec(spec.name, spec.dtype, (steps, *spec.shape))


def ignore(step: int, steps: int) -> None:
    """An `OnStep` for who need not know."""

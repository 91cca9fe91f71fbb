"""Runs a TensorRT engine: `tensorrt` on data-centre and workstation cards, `tensorrt_rtx` on RTX cards.

`builder` builds the engine beforehand. All tensors, scratch memory included, lie in the pipeline's device memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cache.record import BlockChoice, EngineRecord
from ..cuda.memory import DeviceArray, DeviceMemory
from ..engine import NEXT, Array, Engine, OnStep, Tensors, on_host
from ..errors import BackendError, TensorError
from ..loop import NORMAL, BlockLoop, KeptLoops, LoopOptions
from ..loop_buffers import LoopBuffers, key_of, shapes_of
from ..machine.products import Product
from ..onnxruntime.engine import read_spec
from ..onnxruntime.onnx_spec import spec_in_file
from ..spec import Axes, TensorSpec
from .context import Context, Contexts
from .logger import logger
from .plan import check, load, ranges

MAX_LISTED = 5
BUILD = "an engine with these weights has to be built"


class TensorRTEngine(Engine):
    """An engine of TensorRT on one GPU. `run` takes any length of an open axis: more than it was built for goes in parts."""

    memory: DeviceMemory

    def __init__(self, plan: Path, model: str | Path, product: Product, memory: DeviceMemory, record: EngineRecord | None = None,
                 loop: LoopOptions = NORMAL) -> None:
        """plan : of the engine cache, or an engine by itself; model : that it was built from; record : where loop timings and compiled
            kernels are kept, beside the plan by default; loop : how scans are launched

        Raises BackendUnavailable, ModelFileError (an engine that does not fit this machine or the model), BackendError
        (too little memory) or DeviceLost.
        """
        plan = self._plan = Path(plan)
        trt = self._trt = product.load()
        self.spec, self.memory = spec_in_file(Path(model)) or read_spec(model), memory
        self._loops, self._loop_options = KeptLoops(), loop
        self._main: Context | None = None
        self._record = record or EngineRecord(plan)
        memory.trim()  # TensorRT takes the weights' memory from the driver
        with memory.cuda.translate_errors(f"{plan.name} does not load"):
            log = logger(trt)
            self._runtime = trt.Runtime(log)
            engine = load(trt, self._runtime, log, plan, product)
            check(trt, engine, self.spec, plan)
            self._ranges = ranges(engine, self.spec)
            self._contexts = Contexts(trt, engine, log, self.spec, memory, self._record.kernels, self._ranges)
            self._weights = int(engine.get_engine_stat(trt.EngineStat.TOTAL_WEIGHTS_SIZE)) if hasattr(trt, "EngineStat") else 0
        memory.count_weights(self._weights)

    def refit(self, weights: Mapping[str, np.ndarray]) -> bool:
        """Put weights by name in the place of the engine's; False for one that was not built for that, which stays as it was.

        Raises BackendError, and the engine is to be closed then, or DeviceLost.
        """
        engine = self._contexts.engine
        if not engine.refittable:
            return False
        with self.memory.cuda.translate_errors(f"{self._plan.name} cannot be refitted"):
            self.memory.cuda.synchronise()
            self._loops.clear()  # their graphs would use the weights that were there before
            _refit(self._trt, engine, self._contexts.log, weights, self._plan.name)
        return True

    def _run(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        long = next((axis for axis, length in axes.items() if length > self._ranges.get(axis, (0, length))[1]), None)
        if long is not None:
            return self._run_in_parts(inputs, axes, keep, long)
        self._check_least(axes)
        with self.memory.cuda.translate_errors("the model did not run"):
            first = self._main is None
            context = self._main = self._main or self._contexts.make()
            placed = {name: value if isinstance(value, DeviceArray) else self.memory.upload(value) for name, value in inputs.items()}
            context.shape({name: value.shape for name, value in placed.items()})
            outputs = self._empty_outputs(context, axes)
            # Whatever takes it next is asked for later, on the same stream.
            scratch = self.memory.empty((context.scratch_bytes,), np.uint8)
            context.launch({name: array.address for name, array in {**placed, **outputs}.items()}, scratch)
            if first:
                self._contexts.save()
            return {name: array if name in keep else array.numpy() for name, array in outputs.items()}

    def _scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes, steps: int,
              on_step: OnStep, keep: bool) -> dict[str, Array]:
        self._check_least(axes)
        for axis, length in axes.items():
            if length > self._ranges.get(axis, (0, length))[1]:
                raise TensorError(f"axis {axis!r} of a scan", received=str(length), expected=f"at most {self._ranges[axis][1]}")
        with self.memory.cuda.translate_errors("the scan did not start"):
            loop = self._loop(carry, per_step, constants, axes)
        try:
            return loop.scan(carry, per_step, constants, on_step, keep)
        finally:
            self.block_choice = loop.choice

    def _loop(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> BlockLoop:
        """The loop of those shapes, made where there is none."""
        key = key_of(carry, per_step, constants)
        return self._loops.get(key, lambda: self._new_loop(key, carry, per_step, constants, axes))

    def _new_loop(self, key: str, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> BlockLoop:
        context = self._contexts.make()
        context.shape(shapes_of(carry, per_step, constants))
        outputs = self._empty_outputs(context, axes, frozenset(name + NEXT for name in carry))
        buffers = LoopBuffers(self.memory, carry, per_step, constants, outputs)
        # Its address is in the graph: it stays the loop's.
        scratch = self.memory.empty((context.scratch_bytes,), np.uint8)
        return BlockLoop(self.memory.cuda, buffers, lambda addresses: context.launch(addresses, scratch), options=self._loop_options,
                         why_not=context.why_not_capturable, choice=self._record.loop(key),
                         on_choice=lambda choice: self._made(key, choice))

    def _made(self, key: str, choice: BlockChoice) -> None:
        self._contexts.save()
        if choice.why_not is None:  # a failed capture is tried again by the next process
            self._record.keep_loop(key, choice)

    def _empty_outputs(self, context: Context, axes: Axes, without: frozenset[str] = frozenset()) -> dict[str, DeviceArray]:
        made = {}
        for tensor in self.spec.outputs:
            if tensor.name not in without:
                shape = tensor.resolve(axes)
                made[tensor.name] = self.memory.empty(context.output_shape(tensor.name) if shape is None else shape, tensor.dtype)
        return made

    def _run_in_parts(self, inputs: Tensors, axes: Axes, keep: frozenset[str], axis: str) -> dict[str, Array]:
        """Several runs along one axis that every output has; what lacks the axis is uploaded once."""
        lacking = [tensor.name for tensor in self.spec.outputs if axis not in tensor.shape]
        if lacking:
            raise TensorError(f"axis {axis!r}, which output {lacking[0]!r} lacks so that the run cannot be split",
                              received=str(axes[axis]), expected=f"at most {self._ranges[axis][1]}")
        placed = {tensor.name: _once(inputs[tensor.name], axis in tensor.shape, self.memory) for tensor in self.spec.inputs}
        made = []
        for start in range(0, axes[axis], self._ranges[axis][1]):
            stop = min(start + self._ranges[axis][1], axes[axis])
            some = {tensor.name: _along(tensor, placed[tensor.name], axis, start, stop) for tensor in self.spec.inputs}
            made.append(self._run(some, {**axes, axis: stop - start}, frozenset()))
        whole = {tensor.name: np.concatenate([each[tensor.name] for each in made], tensor.shape.index(axis))
                 for tensor in self.spec.outputs}
        return {name: self.memory.upload(value) if name in keep else value for name, value in whole.items()}

    def _check_least(self, axes: Axes) -> None:
        for axis, length in axes.items():
            if length < self._ranges.get(axis, (length, 0))[0]:
                raise TensorError(f"axis {axis!r}", received=str(length), expected=f"at least {self._ranges[axis][0]}")

    def _close(self) -> None:
        with suppress(BackendError):
            self.memory.cuda.synchronise()
        self._loops.clear()
        self._main = None
        del self._contexts  # before what they were made by
        self._runtime = None
        self.memory.count_weights(-self._weights)


def _once(value: Array, is_split: bool, memory: DeviceMemory) -> Array:
    """`value` where several runs read it, or take pieces of it, at the least cost."""
    if is_split:
        return on_host(value)
    return value if isinstance(value, DeviceArray) else memory.upload(value)


def _along(tensor: TensorSpec, value: Array, axis: str, start: int, stop: int) -> Array:
    """A piece of a tensor in C order, or all of one that lacks the axis."""
    if axis not in tensor.shape:
        return value
    piece = on_host(value)[(slice(None),) * tensor.shape.index(axis) + (slice(start, stop),)]
    return piece.copy(order="C")


def _refit(trt: ModuleType, engine: Any, log: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    """Put `weights`, by the names that they have in the model file, in the place of the engine's. Nothing may be running on it.

    log : the engine's logger. name : of the plan
    Raises BackendError if one of them is not to be had; the engine is of no use then.
    """
    refitter = trt.Refitter(engine, log)
    unknown = list(weights.keys() - set(refitter.get_all_weights()))
    if unknown:
        raise BackendError(f"{name} was built without weights that can be replaced", received=_listed(unknown), remedy=BUILD)
    # Kept until the end: the refitter reads the arrays where they lie.
    held = {weight: np.ascontiguousarray(value) for weight, value in weights.items()}
    for weight, value in held.items():
        if not refitter.set_named_weights(weight, trt.Weights(value)):
            raise BackendError(f"{name} rejects new values for {weight}", received=log.errors(), remedy=BUILD)
    missing = refitter.get_missing_weights()
    if missing:  # TensorRT merged them with some of those that are replaced
        raise BackendError(f"{name} cannot be refitted with these weights alone", received=_listed(missing), remedy=BUILD)
    if not refitter.refit_cuda_engine():
        raise BackendError(f"{name} cannot be refitted", received=log.errors(), remedy=BUILD)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(sorted(names)[:MAX_LISTED]) + more

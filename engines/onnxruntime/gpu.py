"""ONNX Runtime's CUDA provider on a pipeline's device memory: on its stream, its runs captured by the loop where they can be.

The session is opened as one that captures graphs by itself (`enable_cuda_graph`), and told in each run not to. Such a session refuses
a model of which parts run on the CPU, and it never hands a callback that frees memory of the host to the stream: in a graph of ours that
would free it at every launch. Where a kernel has such memory to free, the session waits for the stream instead, which ends a capture
with an error, and the loop goes on step by step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from weakref import WeakSet

import numpy as np

from ..cuda.memory import DeviceArray, DeviceMemory
from ..engine import NEXT, Array, OnStep, Tensors
from ..errors import BackendError, BackendUnavailable, Cancelled, DeviceLost
from ..loop import NORMAL, BlockLoop, KeptLoops, LoopOptions
from ..loop_buffers import LoopBuffers, key_of
from ..spec import Axes
from .engine import OnnxRuntimeEngine, Provider, run_options, split_provider
from .onnx_spec import spec_in_file
from .weights import file_bytes

LOG = logging.getLogger("meshwright.engines")
# The number of a graph that stands for none.
NO_GRAPH = "-1"


class OnnxRuntimeGpuEngine(OnnxRuntimeEngine):
    """One .onnx file in one session of the CUDA provider, whose inputs and outputs lie in `memory`."""

    memory: DeviceMemory

    def __init__(self, path: str | Path, *, providers: Sequence[Provider], memory: DeviceMemory, threads: int | None = None,
                 map_weights: bool = False, weights: Mapping[str, np.ndarray] | None = None, loop: LoopOptions = NORMAL) -> None:
        """providers : the first is CUDAExecutionProvider; loop : how scans are launched. The rest, and what is raised, as
        `OnnxRuntimeEngine`."""
        self.memory = memory
        self._loops, self._loop_options = KeptLoops(), loop
        self._steps: WeakSet[_Step] = WeakSet()
        self._held, self._counted_for = 0, set[str]()
        self._no_graph: str | None = "the model is no step of a loop"
        # ONNX Runtime keeps handles of CUDA's libraries by the thread that first ran a session: all that this engine does, it does on one.
        self._thread = ThreadPoolExecutor(1, "meshwright-onnxruntime")
        self._open_options: dict[str, Any] = {"threads": threads, "map_weights": map_weights, "weights": weights}
        self._path, self._providers = Path(path), tuple(providers)
        try:
            self._thread.submit(self._open_session).result()
        except BaseException:
            self._thread.shutdown()
            self._give_back()
            raise

    def _open_session(self) -> None:
        spec = spec_in_file(self._path)
        is_step = spec is not None and any(tensor.name.endswith(NEXT) for tensor in spec.outputs)
        if is_step and self._loop_options.graphs != "never":
            try:
                self._open_with(enable_cuda_graph="1")
                self._no_graph = None
                return
            except DeviceLost:
                raise
            except (BackendError, BackendUnavailable) as error:  # a node on the CPU, say; if it is more, it is raised below
                self._no_graph = str(error)
                LOG.info("%s runs without CUDA graphs: %s", self._path.name, error)
        self._open_with()

    def _open_with(self, **options: str) -> None:
        cuda = self.memory.cuda
        name, given = split_provider(self._providers[0])
        self.memory.trim()  # ONNX Runtime takes its memory from the driver
        memory = {} if self.memory.limit is None else {"gpu_mem_limit": str(max(0, self.memory.limit - self.memory.held_bytes))}
        place = {"device_id": str(cuda.device), "user_compute_stream": str(cuda.stream)}
        # cuDNN's heuristics: the other search times algorithms in the first run, takes other ones from process to process, and much memory.
        mild = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
        first = (name, {**mild, **memory, **given, **place, **options})
        with self._counted("opening", otherwise=file_bytes(self._path)):
            super().__init__(self._path, providers=(first, *self._providers[1:]), **self._open_options)

    def _run(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        return self._thread.submit(self._run_here, inputs, axes, keep).result()

    def _run_here(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        with self.memory.cuda.translate_errors("the model did not run"), self._counted(f"a run of {axes}"):
            binding = self._session.io_binding()
            placed = {name: value if isinstance(value, DeviceArray) else self.memory.upload(value) for name, value in inputs.items()}
            for name, array in placed.items():
                binding.bind_input(name, "cuda", self.memory.cuda.device, array.dtype, array.shape, array.address)
            names = [tensor.name for tensor in self.spec.outputs]
            known = {tensor.name: self.memory.empty(shape, tensor.dtype) for tensor in self.spec.outputs
                     if (shape := tensor.resolve(axes)) is not None}
            for name in names:
                self._bind_output_of(binding, name, known.get(name))
            self._session.run_with_iobinding(binding, self._options(wait=True))
            made = dict(zip(names, binding.get_outputs(), strict=True))
            found = {name: known[name] if name in known else made[name].numpy() for name in names}
            return {name: self._placed_as_asked(value, name in keep) for name, value in found.items()}

    def _scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes, steps: int,
              on_step: OnStep, keep: bool) -> dict[str, Array]:
        interrupted = Event()

        def report(done: int, of: int) -> None:
            if interrupted.is_set():
                raise Cancelled("the scan was interrupted")
            on_step(done, of)

        scan = self._thread.submit(self._scan_here, carry, per_step, constants, axes, report, keep)
        try:
            return scan.result()
        except BaseException:  # of this thread too: the user stops the program, and the other one would go on
            interrupted.set()
            futures.wait([scan])
            raise

    def _scan_here(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes,
                   on_step: OnStep, keep: bool) -> dict[str, Array]:
        with self._counted(key_of(carry, per_step, constants)):
            loop = self._loop(carry, per_step, constants, axes)
            try:
                return loop.scan(carry, per_step, constants, on_step, keep)
            finally:
                self.block_choice = loop.choice

    def _loop(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> BlockLoop:
        return self._loops.get(key_of(carry, per_step, constants), lambda: self._new_loop(carry, per_step, constants, axes))

    def _new_loop(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> BlockLoop:
        with self.memory.cuda.translate_errors("the scan did not start"):
            carried = {name + NEXT for name in carry}
            shapes = {tensor: tensor.resolve(axes) for tensor in self.spec.outputs if tensor.name not in carried}
            others = {tensor.name: self.memory.empty(shape, tensor.dtype) for tensor, shape in shapes.items() if shape is not None}
            unknown = [tensor.name for tensor, shape in shapes.items() if shape is None]
            no_graph = f"the shape of {', '.join(unknown)} is known only after a run" if unknown else None
            buffers = LoopBuffers(self.memory, carry, per_step, constants, others)
            step = _Step(self, buffers.shapes(), unknown)
            self._steps.add(step)
            return BlockLoop(self.memory.cuda, buffers, step, options=self._loop_options, why_not=lambda: no_graph or self._no_graph,
                             recover=self._reopen)

    def _reopen(self) -> None:
        """After a capture that failed ONNX Runtime goes on with a session that knows no graphs."""
        for loop in self._loops:
            loop.give_graph_up("a capture failed")
        for step in self._steps:
            step.unbind()
        self._counted_for.clear()
        self._give_back()
        self._session = None
        self._no_graph = "a capture failed"
        self._open_with()

    def _options(self, *, wait: bool) -> Any:
        """Run options. wait : until the GPU is done"""
        entries = {"gpu_graph_id": NO_GRAPH} if self._no_graph is None else {}
        return run_options(entries if wait else {**entries, "disable_synchronize_execution_providers": "1"})

    def new_binding(self) -> Any:
        """Of the session as it is now."""
        return self._session.io_binding()

    def launch(self, binding: Any) -> None:
        """Ask the stream for a run, without waiting for it."""
        self._session.run_with_iobinding(binding, self._options(wait=False))

    def _bind_output_of(self, binding: Any, name: str, array: DeviceArray | None) -> None:
        if array is None:
            binding.bind_output(name, "cpu")
        else:
            binding.bind_output(name, "cuda", self.memory.cuda.device, array.dtype, array.shape, array.address)

    def _placed_as_asked(self, value: Array, keep: bool) -> Array:
        if isinstance(value, DeviceArray):
            return value if keep else value.numpy()
        return self.memory.upload(value) if keep else value

    @contextmanager
    def _counted(self, what: str, otherwise: int = 0) -> Iterator[None]:
        """Count what ONNX Runtime takes of the GPU by itself: weights, and scratch memory that it keeps.

        what : is counted the first time only, because asking takes a millisecond and the same work needs no more memory
        otherwise : bytes where nobody says what this process holds; what is free on the card changes with other programs too
        """
        if what in self._counted_for:
            yield
            return
        before, held = self.memory.cuda.process_bytes(), self.memory.held_bytes
        yield
        self._counted_for.add(what)
        after = self.memory.cuda.process_bytes()
        if before is None or after is None:
            taken = otherwise
        else:
            taken = max(after - before - (self.memory.held_bytes - held), -self._held)
        self._held += taken
        self.memory.count_weights(taken)

    def _give_back(self) -> None:
        self.memory.count_weights(-self._held)
        self._held = 0

    def _close(self) -> None:
        self._thread.submit(self._loops.clear).result()
        self._thread.shutdown()
        super()._close()
        self._give_back()


class _Step:
    """Runs a model on addresses by name, without waiting. Bindings are kept: to bind takes longer than to launch a small step."""

    def __init__(self, engine: OnnxRuntimeGpuEngine, shapes: Mapping[str, tuple[int, ...]], unknown: Sequence[str]) -> None:
        """shapes : of every input, and of the outputs that have an address; unknown : outputs that ONNX Runtime finds a place for"""
        self._engine, self._shapes, self._unknown = engine, shapes, unknown
        self._kinds = {tensor.name: np.dtype(tensor.dtype) for tensor in (*engine.spec.inputs, *engine.spec.outputs)}
        self._inputs = {tensor.name for tensor in engine.spec.inputs}
        self._bindings: dict[tuple[int, ...], Any] = {}

    def __call__(self, addresses: Mapping[str, int]) -> None:
        with self._engine.memory.cuda.translate_errors("a step did not run"):
            key = tuple(addresses.values())
            if key not in self._bindings:
                self._bindings[key] = self._bind(addresses)
            self._engine.launch(self._bindings[key])

    def unbind(self) -> None:
        """The session goes."""
        self._bindings.clear()

    def _bind(self, addresses: Mapping[str, int]) -> Any:
        binding, device = self._engine.new_binding(), self._engine.memory.cuda.device
        for name, address in addresses.items():
            bind = binding.bind_input if name in self._inputs else binding.bind_output
            bind(name, "cuda", device, self._kinds[name], self._shapes[name], address)
        for name in self._unknown:
            binding.bind_output(name, "cpu")
        return binding

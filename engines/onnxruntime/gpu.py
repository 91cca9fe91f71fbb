"""ONNX Runtime's CUDA provider on a pipeline's device memory: on its stream, and with its CUDA graphs for the steps of a scan.

One graph holds one step, not the loop: what a run asks of CUDA besides kernels (callbacks that free memory of the host) must
not be captured by somebody else, and ONNX Runtime captures its own runs without it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..cuda.memory import DeviceArray, DeviceMemory
from ..engine import NEXT, Array, OnStep, Tensors
from ..errors import BackendError, BackendUnavailable, DeviceLost
from ..loop import KeptLoops
from ..loop_buffers import key_of
from ..spec import Axes
from .engine import OnnxRuntimeEngine, Provider, run_options, split_provider
from .loop import NO_GRAPH, StepLoop
from .onnx_spec import spec_in_file
from .weights import file_bytes

LOG = logging.getLogger("meshwright.engines")


class OnnxRuntimeGpuEngine(OnnxRuntimeEngine):
    """One .onnx file in one session of the CUDA provider, whose inputs and outputs lie in `memory`."""

    memory: DeviceMemory

    def __init__(self, path: str | Path, *, providers: Sequence[Provider], memory: DeviceMemory, threads: int | None = None,
                 map_weights: bool = False, weights: Mapping[str, np.ndarray] | None = None) -> None:
        """providers : the first is CUDAExecutionProvider. The rest, and what is raised, as `OnnxRuntimeEngine`."""
        self.memory = memory
        self._loops: KeptLoops[StepLoop] = KeptLoops()
        self._graphs_made = 0
        self._held, self._counted_for = 0, set[str]()
        self._no_graph: str | None = "the model is no step of a loop"
        # ONNX Runtime keeps graphs by the thread that ran them: all that this engine does, it does on one.
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
        if spec is not None and any(tensor.name.endswith(NEXT) for tensor in spec.outputs):
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
        place = {"device_id": str(cuda.device), "user_compute_stream": str(cuda.stream)}
        first = (name, {"arena_extend_strategy": "kSameAsRequested", **given, **place, **options})
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
            self._session.run_with_iobinding(binding, self._options(NO_GRAPH, wait=True))
            made = dict(zip(names, binding.get_outputs(), strict=True))
            found = {name: known[name] if name in known else made[name].numpy() for name in names}
            return {name: self._placed_as_asked(value, name in keep) for name, value in found.items()}

    def _scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes, steps: int,
              on_step: OnStep, keep: bool) -> dict[str, Array]:
        return self._thread.submit(self._scan_here, carry, per_step, constants, axes, on_step, keep).result()

    def _scan_here(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes,
                   on_step: OnStep, keep: bool) -> dict[str, Array]:
        with self._counted(key_of(carry, per_step, constants)):
            loop = self._loop(carry, per_step, constants, axes)
            try:
                return loop.scan(carry, per_step, constants, on_step, keep)
            finally:
                self.graph_choice = loop.choice
                if loop.is_broken:
                    self._reopen()

    def _loop(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> StepLoop:
        return self._loops.get(key_of(carry, per_step, constants), lambda: self._new_loop(carry, per_step, constants, axes))

    def _new_loop(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes) -> StepLoop:
        carried = {name + NEXT for name in carry}
        others = [tensor for tensor in self.spec.outputs if tensor.name not in carried]
        shapes = {tensor: tensor.resolve(axes) for tensor in others}
        unknown = [tensor.name for tensor, shape in shapes.items() if shape is None]
        no_graph = f"the shape of {', '.join(unknown)} is known after a run only" if unknown else self._no_graph
        graphs = (self._graphs_made + 1, self._graphs_made + 2)
        self._graphs_made += 2  # a number is never used for other addresses
        with self.memory.cuda.translate_errors("the scan did not start"):
            empty = {tensor.name: None if shape is None else self.memory.empty(shape, tensor.dtype) for tensor, shape in shapes.items()}
            return StepLoop(self._session, self.memory, self._options, (carry, per_step, constants), empty, graphs, no_graph)

    def _reopen(self) -> None:
        """After a capture that failed ONNX Runtime goes on with a session that knows no graphs."""
        self._loops.clear()
        self._counted_for.clear()
        self._give_back()
        self._session = None
        self._no_graph = "a capture failed"
        self._open_with()

    def _options(self, graph: int, *, wait: bool) -> Any:
        """Run options. graph : its number, or NO_GRAPH; wait : until the GPU is done."""
        entries = {"gpu_graph_id": str(graph)} if self._no_graph is None else {}
        return run_options(entries if wait else {**entries, "disable_synchronize_execution_providers": "1"})

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

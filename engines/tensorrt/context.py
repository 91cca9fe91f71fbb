"""Execution contexts of TensorRT engines: shapes, scratch memory and launches. `tensorrt` and `tensorrt_rtx` alike."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cuda.memory import DeviceArray, DeviceMemory
from ..errors import BackendError
from ..files.side_file import write_whole
from ..spec import EngineSpec

# An engine with no more shapes than these has a kernel compiled for each when it is first used; with more, TensorRT-RTX
# compiles in the background and uses a general kernel meanwhile.
FEW_SHAPES = 4


class Contexts:
    """Makes the contexts of one engine. None of them allocates memory of its own: `memory` lends it to a launch."""

    def __init__(self, trt: ModuleType, engine: Any, log: Any, spec: EngineSpec, memory: DeviceMemory, kernels: Path,
                 ranges: Mapping[str, tuple[int, int]]) -> None:
        """engine, log : TensorRT's engine and its logger. kernels : file for what is compiled for the card. ranges : lengths of the open
        axes that the engine was built for."""
        self.engine, self.log, self.spec, self.memory = engine, log, spec, memory
        self._strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._jit: JitCache | None = None
        self._config = engine.create_runtime_config() if hasattr(trt, "IRuntimeCache") else None
        if self._config is not None:  # TensorRT-RTX, which compiles kernels for the card now
            shapes = prod(high - low + 1 for low, high in ranges.values())
            kinds = trt.DynamicShapesKernelSpecializationStrategy
            self._config.set_execution_context_allocation_strategy(self._strategy)
            self._config.dynamic_shapes_kernel_specialization_strategy = kinds.EAGER if shapes <= FEW_SHAPES else kinds.LAZY
            self._config.cuda_graph_strategy = trt.CudaGraphStrategy.DISABLED  # loops are captured whole
            self._jit = JitCache(self._config, kernels)

    def make(self) -> Context:
        """A context of its own for each captured graph: TensorRT's graphs are valid while their context is left alone."""
        made = self.engine.create_execution_context(self._strategy if self._config is None else self._config)
        if made is None:
            raise self.memory.cuda.error("the engine could not be prepared", self.log.errors())
        return Context(self, made)

    def save(self) -> None:
        """Keep what was compiled for the card."""
        if self._jit is not None:
            self._jit.save()


class Context:
    """One execution context: tensors of one shape at a time."""

    def __init__(self, made_by: Contexts, context: Any) -> None:
        self._contexts, self._context = made_by, context
        self._shapes: dict[str, tuple[int, ...]] = {}
        spec = made_by.spec
        self._open = [tensor.name for tensor in spec.inputs if any(isinstance(axis, str) for axis in tensor.shape)]
        self.scratch_bytes = made_by.engine.device_memory_size_v2

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Set the inputs' shapes; `scratch_bytes` is then what a launch needs."""
        changed = {name: tuple(shapes[name]) for name in self._open if self._shapes.get(name) != tuple(shapes[name])}
        for name, shape in changed.items():
            self._shapes.pop(name, None)
            if not self._context.set_input_shape(name, shape):
                raise self._failed(f"the engine does not take tensor {name!r} of shape {shape}")
            self._shapes[name] = shape
        if changed:
            self.scratch_bytes = self._context.update_device_memory_size_for_shapes()

    def output_shape(self, name: str) -> tuple[int, ...]:
        """Of an output whose axes the inputs do not tell."""
        shape = tuple(self._context.get_tensor_shape(name))
        if -1 in shape:
            raise BackendError(f"the shape of output {name!r} is known only after a run", received=str(shape),
                               remedy="this component runs on ONNX Runtime")
        return shape

    def launch(self, addresses: Mapping[str, int], scratch: DeviceArray) -> None:
        """Ask the stream for one evaluation. addresses : of every tensor; scratch : of `scratch_bytes` at least."""
        cuda = self._contexts.memory.cuda
        with cuda.translate_errors("the engine did not start"):
            self._context.set_device_memory(scratch.address, scratch.nbytes)
            for name, address in addresses.items():
                if not self._context.set_tensor_address(name, address):
                    raise self._failed(f"the engine does not take the address of tensor {name!r}")
            if not self._context.execute_async_v3(cuda.stream):
                raise self._failed("the engine did not start")

    def why_not_capturable(self) -> str | None:
        """Why launches cannot be captured, or None."""
        ask = getattr(self._context, "is_stream_capturable", None)
        if ask is None or ask(self._contexts.memory.cuda.stream):
            return None
        return f"TensorRT says that the engine cannot be captured ({self._contexts.log.errors()})"

    def _failed(self, subject: str) -> BackendError:
        return self._contexts.memory.cuda.error(subject, self._contexts.log.errors())


class JitCache:
    """What TensorRT-RTX compiles for the card when an engine first runs, kept beside the engine for the next process. TensorRT refuses what
    another card, driver or version compiled.

    path : of the file that they are kept in; cache : TensorRT's object
    """

    def __init__(self, config: Any, path: Path) -> None:
        self._path = path
        self.cache = config.create_runtime_cache()
        self._kept = b""
        with suppress(OSError):
            content = self._path.read_bytes()
            if content and self.cache.deserialize(content):
                self._kept = content
        config.set_runtime_cache(self.cache)

    def save(self) -> None:
        """Write down what was compiled since. A folder that cannot be written to is no error: it is compiled again."""
        content = bytes(self.cache.serialize() or b"")
        if content and content != self._kept and write_whole(self._path, content):
            self._kept = content

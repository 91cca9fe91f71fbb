"""Builds one engine in this process. `build` calls it in a process of its own.

Works for `tensorrt` 10 and 11 and for `tensorrt_rtx`, which needs neither GPU nor driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cuda.remedies import explain, unavailable
from ..errors import BackendError, EngineError, ModelFileError
from ..machine.products import Product
from .logger import logger
from .network import Network, Range

# Device memory then comes from us, which the capture of a CUDA graph needs. TensorRT 10 has no such flag.
FLAGS = ("REQUIRE_USER_ALLOCATION",)
# Weights can then be replaced in the engine (`TensorRTEngine.refit`). TensorRT optimises less, and wants a GPU to build it.
REFIT = "REFIT"
# Multiplications of FP32 then keep all 24 bits of their factors; TensorRT takes 11 by itself. A flag that is cleared.
NO_TF32 = "NO_TF32"
OUT_OF_MEMORY = re.compile(r"OutOfMemory|[Oo]ut of memory|cudaErrorMemoryAllocation|bad_alloc|insufficient memory", re.ASCII)
OnProgress = Callable[[float], None]


def build(product: Product, model: Path, axes: Mapping[str, Range], workspace: int | None, on_progress: OnProgress,
          flags: Sequence[str] = FLAGS, capabilities: Sequence[str] = ()) -> memoryview:
    """The serialised engine of an ONNX file.

    axes : a range for each open axis
    workspace : most bytes of scratch memory that a layer may have; None leaves it to TensorRT
    on_progress : called with the share that is done, in [0, 1]; what it raises ends the build
    flags : names of TensorRT's builder flags, or NO_TF32; those that a version does not know are left out
    capabilities : as `BuildRequest`
    Raises BackendUnavailable, ModelFileError, EngineError (an axis without range) or BackendError.
    """
    if not model.is_file():
        raise ModelFileError("the model file is missing", received=str(model))
    trt = product.load()
    log = logger(trt)
    try:
        builder = trt.Builder(log)
    except Exception as error:  # the binding raises TypeErrors where the library gave no object
        raise unavailable(f"{product.name} cannot build engines here", f"{error} {log.errors()}") from error
    network = Network(trt, builder, model, log)
    config, monitor = builder.create_builder_config(), _monitor(trt, on_progress)
    _set_flags(trt, config, flags)
    _set_capabilities(trt, config, capabilities)
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    network.add_profile(builder, config, axes)
    config.progress_monitor = monitor
    engine = builder.build_serialized_network(network.definition, config)
    if monitor.raised is not None:
        raise monitor.raised
    if engine is None:
        raise failed(model.name, log.errors())
    return memoryview(engine)


def failed(name: str, reason: str) -> EngineError:
    """Our error for a build that ended without an engine. reason : the vendor's words."""
    if OUT_OF_MEMORY.search(reason):
        return BackendError(f"there was not enough memory to build {name}", received=reason, remedy=(
            "close other programs that use the GPU, or build one component at a time with --component; the cache is unchanged"))
    known = explain(reason)
    return BackendError(f"{name} cannot be built{f': {known[0]}' if known else ''}", received=reason,
                        remedy=known[1] if known else "this component runs on ONNX Runtime; the cache is unchanged")


def _set_flags(trt: ModuleType, config: Any, flags: Sequence[str]) -> None:
    for name in flags:
        if name == NO_TF32:
            config.clear_flag(trt.BuilderFlag.TF32)
        elif hasattr(trt.BuilderFlag, name):
            config.set_flag(getattr(trt.BuilderFlag, name))


def _set_capabilities(trt: ModuleType, config: Any, capabilities: Sequence[str]) -> None:
    """BackendError for one that this version does not build for."""
    if not capabilities:
        return
    config.num_compute_capabilities = len(capabilities)
    for i, capability in enumerate(capabilities):
        target = getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}", None)
        if target is None or not config.set_compute_capability(target, i):
            raise BackendError("this version does not build engines for the compute capability", received=capability)


def _monitor(trt: ModuleType, on_progress: OnProgress) -> Any:
    """Turns TensorRT's nested phases into one share that only grows."""

    base: Any = trt.IProgressMonitor

    class Monitor(base):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.raised: BaseException | None = None
            self._phases = Phases()

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._phases.start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            # An exception must not pass through the library; false asks it to stop.
            try:
                self._phases.step(name, step)
                on_progress(self._phases.share)
            except BaseException as error:
                self.raised = error
            return self.raised is None

        def phase_finish(self, name: str) -> None:
            self._phases.finish(name)

    return Monitor()


class Phases:
    """Nested phases, each of a known number of steps -> the share of the outermost one that is done, in [0, 1]."""

    def __init__(self) -> None:
        self.share = 0.0
        # name -> where it begins and ends in the whole, and the steps in it that are done, of how many
        self._spans: dict[str, tuple[float, float, int, int]] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins: within the next step of its parent."""
        low, high = self._next(parent) if parent in self._spans else (0.0, 1.0)
        self._spans[name] = (low, high, 0, max(steps, 1))

    def step(self, name: str, step: int) -> None:
        """Step `step`, from 0, is done."""
        if name in self._spans:
            low, high, _, steps = self._spans[name]
            self._spans[name] = (low, high, min(step + 1, steps), steps)
            self.share = max(self.share, self._next(name)[0])

    def finish(self, name: str) -> None:
        """A phase is over, all its steps or not."""
        if name in self._spans:
            self.share = max(self.share, self._spans.pop(name)[1])

    def _next(self, name: str) -> tuple[float, float]:
        low, high, done, steps = self._spans[name]
        width = (high - low) / steps
        return low + done * width, min(low + (done + 1) * width, high)

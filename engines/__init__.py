"""Runs one model file on one backend: `open_engine`, then `run` and `scan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cuda.memory import DeviceArray, DeviceMemory
from .engine import Engine
from .errors import BackendUnavailable, EngineError, MeshwrightError
from .loop import NORMAL, LoopOptions
from .null import NullEngine
from .spec import EngineSpec, TensorSpec

if TYPE_CHECKING:
    from .cache.record import EngineRecord
    from .onnxruntime.engine import Provider

__all__ = ["DeviceArray", "DeviceMemory", "Engine", "EngineSpec", "LoopOptions", "MeshwrightError", "NullEngine", "TensorSpec",
           "open_engine"]
BACKENDS = ("onnxruntime", "tensorrt", "tensorrt-rtx", "null")


def open_engine(path: str | Path, *, backend: str = "onnxruntime",
                providers: Sequence[Provider] = ("CPUExecutionProvider",), threads: int | None = None,
                map_weights: bool = False, keep_scratch: bool = False, plan: Path | None = None, record: EngineRecord | None = None,
                memory: DeviceMemory | None = None, loop: LoopOptions = NORMAL, weights: Mapping[str, np.ndarray] | None = None) -> Engine:
    """Load a model file.

    backend   : "onnxruntime"; "tensorrt" or "tensorrt-rtx", which run the engine `plan` that was built from the file; or
        "null", which reads the file's inputs and outputs and computes nothing
    providers : ONNX Runtime's execution providers in order of preference: names, or (name, options)
    threads   : of one operator on the CPU; None for all cores
    map_weights : leave the weights in their external-data file, from where the operating system brings in the pages
        in use and takes them away again; each step casts them if they are FP16. Loads at once and needs the least
        memory, but runs slower; results differ from the usual by rounding. ONNX Runtime only.
    keep_scratch : hold the memory for intermediate results between runs instead of giving it back, which saves up to a third of
        the time of a network with large ones. ONNX Runtime on the CPU only.
    plan      : of TensorRT, a file of the engine cache (`cache.Entry.path`)
    record    : where what is measured on that engine is kept; beside the plan by default
    memory    : of the GPU, shared by the engines of a pipeline; TensorRT needs it. With it ONNX Runtime's CUDA provider
        keeps its tensors there too, on the same stream; without, each run and each step of a scan copies them to the host and back.
    loop      : how scans are launched on a GPU
    weights   : initializers by name that take the place of the file's own, of the same dtype and shape. ONNX Runtime only.
    Raises ModelFileError, BackendUnavailable (the package or provider is not there), BackendError or DeviceLost.
    """
    # Imported here, because a vendor's package is loaded only when its backend is used.
    from .onnxruntime.engine import OnnxRuntimeEngine, read_spec, split_provider

    if backend == "onnxruntime":
        if memory is None or not providers or split_provider(providers[0])[0] != "CUDAExecutionProvider":
            return OnnxRuntimeEngine(path, providers=providers, threads=threads, map_weights=map_weights, keep_scratch=keep_scratch,
                                     weights=weights)
        from .onnxruntime.gpu import OnnxRuntimeGpuEngine

        return OnnxRuntimeGpuEngine(path, providers=providers, memory=memory, threads=threads, map_weights=map_weights, weights=weights,
                                    loop=loop)
    if backend == "null":
        return NullEngine(read_spec(path))
    if backend not in BACKENDS:
        raise BackendUnavailable(f"there is no backend {backend!r}", expected=", ".join(BACKENDS))
    if plan is None or memory is None or weights:
        raise EngineError(f"{backend} runs an engine that was built before, in a GPU's memory",
                          expected="plan= and memory=, and no weights= (build an engine from them)")
    from .machine.products import choose
    from .tensorrt.engine import TensorRTEngine

    return TensorRTEngine(plan, path, choose(backend), memory, record, loop)

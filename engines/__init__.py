"""Runs one model file on one backend: `open_engine`, then `run` and `scan`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .base import Engine
from .errors import BackendUnavailable, MeshwrightError
from .null import NullEngine
from .spec import EngineSpec, TensorSpec

if TYPE_CHECKING:
    from .onnxruntime import Provider

__all__ = ["Engine", "EngineSpec", "MeshwrightError", "NullEngine", "TensorSpec", "open_engine"]


def open_engine(path: str | Path, *, backend: str = "onnxruntime",
                providers: Sequence[Provider] = ("CPUExecutionProvider",), threads: int | None = None,
                map_weights: bool = False) -> Engine:
    """Load a model file.

    backend   : "onnxruntime", or "null", which reads the file's inputs and outputs and computes nothing
    providers : ONNX Runtime's execution providers in order of preference: names, or (name, options)
    threads   : of one operator on the CPU; None for all cores
    map_weights : leave the weights in their external-data file, from where the operating system brings in the pages
        in use and takes them away again; each step casts them if they are FP16. Loads at once and needs the least
        memory, but runs slower; results differ from the usual by rounding.
    Raises ModelFileError, BackendUnavailable (the package or provider is not there) or BackendError.
    """
    # Imported here, because a vendor's package is loaded only when its backend is used.
    from .onnxruntime import OnnxRuntimeEngine, read_spec

    if backend == "onnxruntime":
        return OnnxRuntimeEngine(path, providers=providers, threads=threads, map_weights=map_weights)
    if backend == "null":
        return NullEngine(read_spec(path))
    raise BackendUnavailable(f"there is no backend {backend!r}", expected="onnxruntime or null")

"""Reads a built engine: finds it in its file, lets TensorRT load it, and checks that it is the engine of a model."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cache.cache import MAGIC, DamagedEngine, Entry, read_header
from ..cuda.driver import INSTALL
from ..cuda.remedies import explain
from ..errors import BackendError, BackendUnavailable, ModelFileError
from ..machine.products import Product
from ..spec import EngineSpec, TensorSpec
from .logger import SILENT

REMEDY = "it is rebuilt by: meshwright build"
# TensorRT's names for the dtypes that a model's tensors have here.
DTYPES = {"float32": "FLOAT", "float16": "HALF", "int64": "INT64", "int32": "INT32", "int8": "INT8", "uint8": "UINT8", "bool": "BOOL"}
# What TensorRT-RTX's diagnostics of an engine mean.
INVALID = {"VERSION_MISMATCH": "it is of another version", "UNSUPPORTED_CC": "it is not built for this GPU's compute capability",
           "OLD_CUDA_DRIVER": "the NVIDIA driver is too old for it", "OLD_CUDA_RUNTIME": "the CUDA runtime is too old for it",
           "INSUFFICIENT_GPU_MEMORY": "it needs more memory than the GPU has", "MALFORMED_ENGINE": "it is no engine, or a damaged one",
           "CUDA_ERROR": "the driver or CUDA is not installed as it should be"}


def load(trt: ModuleType, runtime: Any, log: Any, plan: Path, product: Product) -> Any:
    """TensorRT's engine. ModelFileError names what built the file, and what this is, where they do not fit; BackendError
    for a GPU without enough memory.

    log : the runtime's logger
    """
    entry, content = read(plan)
    invalid = why_invalid(trt, runtime, content)
    engine = None if invalid else runtime.deserialize_cuda_engine(content)
    if engine is not None:
        return engine
    words = log.errors()
    reason = words if invalid is None else invalid if words == SILENT else f"{invalid}: {words}"
    known = explain(reason)
    if known is not None:
        raise BackendError(f"{plan.name} does not load: {known[0]}", received=reason, remedy=known[1])
    if "driver" in (invalid or ""):
        raise BackendUnavailable(f"{plan.name} does not load on this machine", received=reason, remedy=INSTALL)
    if "memory" in reason.lower():
        raise BackendError(f"there is not enough memory on the GPU for {plan.name}", received=reason,
                           remedy="close what else uses the GPU, or run with --memory low")
    raise ModelFileError(f"{plan.name} does not load on this machine", received=f"an engine {_origin(entry)}; {reason}",
                         expected=f"one of {product.name} {product.version()}", remedy=REMEDY)


def why_invalid(trt: ModuleType, runtime: Any, content: np.ndarray) -> str | None:
    """What TensorRT-RTX has against an engine on this machine; None for one that it calls valid, or slower than one that would be built
    for this very card. TensorRT has no such call and says it when it loads an engine."""
    if not hasattr(runtime, "get_engine_validity"):
        return None
    validity, found = runtime.get_engine_validity(content)
    if validity != trt.EngineValidity.INVALID:
        return None
    reasons = ", ".join(meaning for name, meaning in INVALID.items() if found & int(getattr(trt.EngineInvalidityDiagnostics, name, 0)))
    return f"the product calls it invalid here{f' ({reasons})' if reasons else ''}"


def read(plan: Path) -> tuple[Entry | None, np.ndarray]:
    """What the engine cache wrote of an engine, and its bytes; None for a file that holds nothing else.

    ModelFileError if it is missing, cut short or damaged.
    """
    try:
        with plan.open("rb") as file:
            entry = read_header(plan) if file.read(len(MAGIC)) == MAGIC else None
        content = np.fromfile(plan, np.uint8, offset=0 if entry is None else entry.offset)
    except (OSError, DamagedEngine) as error:
        raise ModelFileError(f"the engine {plan.name} cannot be read", received=str(error), remedy=REMEDY) from error
    if not content.size:
        raise ModelFileError(f"the engine {plan.name} is empty", remedy=REMEDY)
    return entry, content


def check(trt: ModuleType, engine: Any, spec: EngineSpec, plan: Path) -> None:
    """Raise ModelFileError unless the engine has the model's inputs and outputs, all of them in the GPU's memory."""
    names = {engine.get_tensor_name(i) for i in range(engine.num_io_tensors)}
    wanted = {tensor.name for tensor in (*spec.inputs, *spec.outputs)}
    if names != wanted:
        raise _another(plan, f"tensors {', '.join(sorted(names))}", ", ".join(sorted(wanted)))
    modes = {tensor: trt.TensorIOMode.INPUT for tensor in spec.inputs} | {tensor: trt.TensorIOMode.OUTPUT for tensor in spec.outputs}
    for tensor, mode in modes.items():
        dtype, shape = engine.get_tensor_dtype(tensor.name), tuple(engine.get_tensor_shape(tensor.name))
        if engine.get_tensor_mode(tensor.name) != mode or dtype.name != DTYPES.get(tensor.dtype) or not _fits(shape, tensor):
            raise _another(plan, f"tensor {tensor.name!r} {dtype.name} {shape}", str(tensor))
        if engine.get_tensor_location(tensor.name) != trt.TensorLocation.DEVICE:
            raise BackendError(f"{plan.name} requires its tensor {tensor.name!r} on the host, which no loop on a GPU can give it",
                               remedy="this component runs on ONNX Runtime")


def ranges(engine: Any, spec: EngineSpec) -> dict[str, tuple[int, int]]:
    """The least and the largest length of each open axis that the engine was built for."""
    found: dict[str, tuple[int, int]] = {}
    for tensor in spec.inputs:
        if any(isinstance(axis, str) for axis in tensor.shape):
            low, _, high = (tuple(shape) for shape in engine.get_tensor_profile_shape(tensor.name, 0))
            found |= {axis: (low[i], high[i]) for i, axis in enumerate(tensor.shape) if isinstance(axis, str)}
    return found


def _fits(shape: tuple[int, ...], tensor: TensorSpec) -> bool:
    return len(shape) == len(tensor.shape) and all(
        length in (-1, axis) or isinstance(axis, str) for length, axis in zip(shape, tensor.shape, strict=True))


def _another(plan: Path, received: str, expected: str) -> ModelFileError:
    return ModelFileError(f"{plan.name} was built from another model", received=received, expected=expected, remedy=REMEDY)


def _origin(entry: Entry | None) -> str:
    if entry is None:
        return "of unknown origin"
    key = entry.key
    return f"built by {key.product} {key.version} for GPU {key.device}, compute capability {key.capability}, system {key.system}"

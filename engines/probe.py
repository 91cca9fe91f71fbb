"""Tries one vendor's package and prints what it found as one line of JSON: `python -m meshwright.engines.probe PARENT NAME [MODEL]`.

A process of its own, because a library that is damaged may end the process that loads it. PARENT is the id of the process
that started it; for NAMEs see `TRIALS`; MODEL is a small model file for ONNX Runtime to run.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import numpy as np

from . import open_engine
from .cuda.remedies import unavailable
from .errors import MeshwrightError
from .machine.parent import end_with_parent
from .onnxruntime.package import import_onnxruntime

CPU = "CPUExecutionProvider"
# One sends inputs to a web service; the other links a TensorRT of its own, beside the one that is driven directly.
NOT_TRIED = ("AzureExecutionProvider", "TensorrtExecutionProvider")


def onnxruntime(model: str | None) -> dict[str, Any]:
    """Which providers run a model here. broken : why even the CPU does not."""
    ort = import_onnxruntime()
    names = [name for name in ort.get_available_providers() if name not in NOT_TRIED]
    providers = {name: _run(model, name) for name in names} if model else dict.fromkeys(names)
    return {"version": ort.__version__, "providers": providers, "broken": providers.get(CPU, "it has no provider for the CPU")}


def tensorrt(name: str) -> dict[str, Any]:
    """Whether engines can be built here."""
    module = import_module(name)
    said: list[str] = []
    base: Any = module.ILogger

    class Logger(base):
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            said.append(message)

    try:
        builder = module.Builder(Logger())
        idle = None if builder is not None else _say(name, " ".join(said))
    except Exception as error:  # TensorRT's binding raises plain RuntimeErrors and TypeErrors
        idle = _say(name, f"{error} {' '.join(said)}")
    return {"version": module.__version__, "idle": idle}


def cuda_core() -> dict[str, Any]:
    """Whether there is a device for it."""
    core = import_module("cuda.core")
    try:
        core.Device(0).name  # noqa: B018
        idle = None
    except Exception as error:  # DynamicLibNotFoundError, CUDAError and others, which share no base class
        idle = str(unavailable("it sees no GPU", f"{type(error).__name__}: {error}"))
    return {"version": core.__version__, "idle": idle}


TRIALS = {"onnxruntime": onnxruntime, "tensorrt": lambda _: tensorrt("tensorrt"),
          "tensorrt_rtx": lambda _: tensorrt("tensorrt_rtx"), "cuda-core": lambda _: cuda_core()}


def _run(model: str, provider: str) -> str | None:
    """Why a model does not run on a provider."""
    try:
        with open_engine(model, providers=(provider,), threads=1) as engine:
            shapes = {tensor: [1 if isinstance(axis, str) else axis for axis in tensor.shape] for tensor in engine.spec.inputs}
            engine.run({tensor.name: np.zeros(shape, tensor.dtype) for tensor, shape in shapes.items()})
    except MeshwrightError as error:
        return str(unavailable(f"{provider} does not run", error))
    return None


def _say(name: str, words: str) -> str:
    return str(unavailable(f"{name} cannot build engines here", words))


def main(parent: str, name: str, model: str | None = None) -> None:
    """Print what there is to say about one package."""
    end_with_parent(int(parent))
    try:
        found = TRIALS[name](model)
    except Exception as error:  # whatever a package raises when it is imported: the caller wants the reason
        found = {"broken": str(unavailable("it cannot be imported", error))}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

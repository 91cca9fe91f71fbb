"""The sides that are compared: how each makes the engines of a pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.engines import DeviceMemory, Engine, LoopOptions, open_engine
from meshwright.engines.errors import BackendUnavailable
from meshwright.engines.machine.hardware import detect_hardware
from meshwright.engines.machine.products import PRODUCTS
from meshwright.engines.onnxruntime.package import import_onnxruntime
from meshwright.runtime.backends.candidates import CPU, CUDA
from meshwright.runtime.backends.pack_engines import PackEngines
from meshwright.runtime.pack.pack import Pack

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Side:
    """graphs : whether steps are launched as CUDA graphs, which is forced: each way is measured by itself"""

    title: str
    package: str
    graphs: bool = False
    gpu: bool = True


# In the order of the tables; shares are of the first that there is.
SIDES = {
    "eager": Side("PyTorch eager", "torch"), "compiled": Side("torch.compile, CUDA graphs", "torch", graphs=True),
    "ort": Side("ONNX Runtime CUDA", "onnxruntime"), "ort-blocks": Side("ONNX Runtime CUDA, blocks", "onnxruntime", graphs=True),
    "trt": Side("TensorRT", "tensorrt"), "trt-blocks": Side("TensorRT, blocks", "tensorrt", graphs=True),
    "eager-cpu": Side("PyTorch eager, CPU", "torch", gpu=False), "ort-cpu": Side("ONNX Runtime, CPU", "onnxruntime", gpu=False),
}
REFERENCE = "ort-cpu"


@dataclass(frozen=True)
class Opened:
    """make : a component's engine; ready : what evaluates an engine once on inputs, both left where the engine has its tensors

    wait : until the device is done; peak : bytes of its memory since `reset_peak`
    """

    make: Callable[[str], Engine]
    ready: Callable[[Any, Tensors], Callable[[], Any]]
    wait: Callable[[], Any] = lambda: None
    peak: Callable[[], int | None] = lambda: None
    reset_peak: Callable[[], Any] = lambda: None


def open_side(side: Side, pack: Pack, modules: Path) -> Opened:
    """modules : folder of the pack's PyTorch modules. Raises BackendUnavailable, or whatever a vendor's package does."""
    def file(kind: str) -> Path:
        return pack.path(pack.component(kind).file)

    if side.package == "torch":
        import torch

        from ..harness.torch_engine import TorchEngine

        device = torch.device("cuda" if side.gpu else "cpu")
        torch.set_float32_matmul_precision("high")  # TF32, as ONNX Runtime and TensorRT do by themselves
        cuda = (torch.cuda.synchronize, torch.cuda.max_memory_allocated, torch.cuda.reset_peak_memory_stats) if side.gpu else ()
        return Opened(lambda kind: TorchEngine(modules / f"{kind}.pt", file(kind), pack.component(kind).spec, device, side.graphs),
                      lambda engine, inputs: engine.ready(inputs), *cuda)
    if not side.gpu:
        return Opened(lambda kind: open_engine(file(kind), providers=(CPU,)), lambda engine, inputs: lambda: engine.run(inputs))
    from meshwright.engines.cuda.device import Cuda

    memory, loop = DeviceMemory(Cuda()), LoopOptions(graphs="always" if side.graphs else "never")
    if side.package == "onnxruntime":
        import_onnxruntime().preload_dlls()  # finds the CUDA libraries of the nvidia-* wheels
    plan = _built(pack) if side.package == "tensorrt" else None

    def make(kind: str) -> Engine:
        which = {"providers": (CUDA, CPU)} if plan is None else plan(kind)
        return open_engine(file(kind), memory=memory, loop=loop, **which)

    def ready(engine: Engine, inputs: Tensors) -> Callable[[], Any]:
        there, outputs = {name: memory.upload(value) for name, value in inputs.items()}, frozenset(t.name for t in engine.spec.outputs)
        return lambda: engine.run(there, keep=outputs)

    return Opened(make, ready, memory.cuda.synchronise, lambda: memory.peak_bytes, memory.reset_peak)


def _built(pack: Pack) -> Callable[[str], dict[str, Any]]:
    """Of a component, the options of `open_engine` for the engine that `meshwright build` has left."""
    product = next((each for each in PRODUCTS if each.is_installed), None)
    if product is None:
        raise BackendUnavailable("no TensorRT is installed")
    engines = PackEngines(pack, detect_hardware())

    def plan(kind: str) -> dict[str, Any]:
        found, rejected = engines.candidates(product, pack.component(kind), lambda entry: False)
        if not found or found[0].entry is None:
            raise BackendUnavailable(f"{kind} has no engine of {product.name}", received="; ".join(each.why for each in rejected))
        return {"backend": product.name, "plan": found[0].entry.path}

    return plan

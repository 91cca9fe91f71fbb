"""What the GPU benchmark compares: how each side makes the engines of a pack, and what takes its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.engines import DeviceMemory, Engine, LoopOptions, open_engine
from meshwright.engines.errors import BackendUnavailable
from meshwright.engines.machine.products import PRODUCTS, Product, choose
from meshwright.engines.onnxruntime.package import import_onnxruntime
from meshwright.runtime.backends.candidates import CPU, CUDA
from meshwright.runtime.pack.pack import Pack

from .gpu_clock import Clock, HostClock, StreamClock, TorchClock

Ready = Callable[[Mapping[str, np.ndarray]], Callable[[], Any]]


@dataclass(frozen=True)
class Side:
    """title : for tables. gpu : whether it needs one. kind : "torch", "onnxruntime" or "tensorrt"; graph : whether CUDA graphs are on"""

    title: str
    kind: str
    gpu: bool = True
    graph: bool = False


# In the order of the tables. "eager" and "compiled" are what the bars are shares of.
SIDES = {
    "eager": Side("PyTorch eager", "torch"),
    "compiled": Side("torch.compile, CUDA graphs", "torch", graph=True),
    "ort": Side("ONNX Runtime CUDA", "onnxruntime"),
    "ort-graph": Side("ONNX Runtime CUDA, graph", "onnxruntime", graph=True),
    "trt": Side("TensorRT, plain launches", "tensorrt"),
    "trt-graph": Side("TensorRT, one graph a loop", "tensorrt", graph=True),
    "eager-cpu": Side("PyTorch eager, CPU", "torch", gpu=False),
    "ort-cpu": Side("ONNX Runtime, CPU", "onnxruntime", gpu=False),
}
REFERENCE = "ort-cpu"


@dataclass(frozen=True)
class Task:
    """What a worker is told. origin : `gpu_torch.Origin` as plain JSON, None where there is none; threads : on the CPU"""

    side: str
    pack: str
    backend: str | None = None
    origin: Mapping[str, str] | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Opened:
    """make : from a component's kind to its engine, a new one at each call

    ready : makes of an engine what evaluates it once on inputs that lie where it has them
    peak : bytes of the GPU's memory since `reset_peak`, None without a GPU
    """

    make: Callable[[str], Engine]
    clock: Clock
    ready: Callable[[Engine], Ready]
    peak: Callable[[], int | None] = lambda: None
    reset_peak: Callable[[], None] = lambda: None


def open_side(task: Task, pack: Pack) -> Opened:
    """Raises BackendUnavailable, or whatever a vendor's package does: the worker tells."""
    side = SIDES[task.side]
    if side.kind == "torch":
        return _torch(task, pack, side)
    if side.kind == "tensorrt":
        return _tensorrt(pack, choose(task.backend) if task.backend else _working_product(), side.graph)
    return _onnxruntime(task, pack, side)


def _torch(task: Task, pack: Pack, side: Side) -> Opened:
    import torch

    from .gpu_torch import Origin, TorchComponents

    if not task.origin:
        raise BackendUnavailable("there is nothing to make PyTorch's modules of", expected="--checkpoints or --published")
    if side.gpu and not torch.cuda.is_available():
        raise BackendUnavailable(f"PyTorch {torch.__version__} sees no GPU")
    if task.threads and not side.gpu:
        torch.set_num_threads(task.threads)
    origin = Origin(**{name: value if name == "size" else Path(value) for name, value in task.origin.items()})
    make = TorchComponents(pack, origin, "cuda" if side.gpu else "cpu", side.graph)
    if not side.gpu:
        return Opened(make, HostClock(), lambda engine: engine.ready)
    return Opened(make, TorchClock(), lambda engine: engine.ready, torch.cuda.max_memory_allocated, torch.cuda.reset_peak_memory_stats)


def _onnxruntime(task: Task, pack: Pack, side: Side) -> Opened:
    if not side.gpu:
        return Opened(lambda kind: open_engine(pack.path(pack.component(kind).file), providers=(CPU,), threads=task.threads), HostClock(),
                      _from_host)
    onnxruntime = import_onnxruntime()
    if hasattr(onnxruntime, "preload_dlls"):  # finds the CUDA libraries of the nvidia-* wheels
        onnxruntime.preload_dlls()
    memory = _memory()
    return _on_device(memory, lambda kind: open_engine(pack.path(pack.component(kind).file), providers=(CUDA, CPU), memory=memory,
                                                       loop=one_way(side.graph)))


def _tensorrt(pack: Pack, product: Product, graph: bool) -> Opened:
    from meshwright.engines.machine.hardware import detect_hardware
    from meshwright.runtime.backends.pack_engines import PackEngines

    memory, engines = _memory(), PackEngines(pack, detect_hardware())

    def make(kind: str) -> Engine:
        component = pack.component(kind)
        found, why = engines.find(product, component, lambda entry: False)
        if not found:
            raise BackendUnavailable(f"{kind} has no engine of {product.name}", received=why or "no engine is built for it")
        return open_engine(pack.path(component.file), backend=product.name, plan=found[0].path, memory=memory,
                           loop=one_way(graph))

    return _on_device(memory, make)


def one_way(graph: bool) -> LoopOptions:
    """An engine keeps to the way of launching a loop that is faster: here both are measured, each by itself."""
    return LoopOptions(graphs="always" if graph else "never")


def _working_product() -> Product:
    installed = [product for product in PRODUCTS if product.is_installed]
    if not installed:
        raise BackendUnavailable("no TensorRT is installed", expected=" or ".join(product.module for product in PRODUCTS))
    return installed[0]


def _memory() -> DeviceMemory:
    from meshwright.engines.cuda.device import Cuda

    return DeviceMemory(Cuda())


def _on_device(memory: DeviceMemory, make: Callable[[str], Engine]) -> Opened:
    def ready(engine: Engine) -> Ready:
        outputs = frozenset(tensor.name for tensor in engine.spec.outputs)

        def placed(inputs: Mapping[str, np.ndarray]) -> Callable[[], Any]:
            there = {name: memory.upload(value) for name, value in inputs.items()}
            return lambda: engine.run(there, keep=outputs)
        return placed

    return Opened(make, StreamClock(memory.cuda), ready, lambda: memory.peak_bytes, memory.reset_peak)


def _from_host(engine: Engine) -> Ready:
    return lambda inputs: lambda: engine.run(inputs)

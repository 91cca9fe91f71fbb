"""A machine with one GPU, as the runtime sees it: driver, CUDA and TensorRT-RTX are simulated, all else is real.

"Building" an engine writes a plan that names its model, which ONNX Runtime then evaluates; a simulated GPU's memory and
stream lie between, so that whatever would go wrong with addresses goes wrong here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from meshwright.engines.cuda.driver import Driver
from meshwright.engines.cuda.nvml import Nvml
from meshwright.engines.machine import hardware
from meshwright.engines.machine import products as tensorrt_products
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.engines.tensorrt import loader as engine_loader
from meshwright.engines.tensorrt.network import Range
from meshwright.runtime import Pipeline
from meshwright.runtime.backends import selector as backends
from meshwright.runtime.backends.pack_engines import RANGES
from meshwright.runtime.results import Generation
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_driver import Card, SimulatedDriver, SimulatedNvml
from tests.engines.simulated_tensorrt import SimulatedTensorRT, write_plan
from tests.runtime.tiny_pack import TOKENS, WIDTH

Product = tensorrt_products.Product
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
FAST = {"texture": 64, "faces": 500, "texture_from": "blend"}


def run(pack: Path, **options) -> tuple[Generation, dict[str, str]]:
    """A red chair by a fresh pipeline, and on what each component ran. options : of `Pipeline.open`"""
    with Pipeline.open(pack, threads=1, **options) as pipe:
        return pipe.generate("a red chair", seed=3, **FAST), used(pipe)


def used(pipe: Pipeline) -> dict[str, str]:
    """On what each component ran so far."""
    return {name: str(candidate) for name, candidate in pipe.models.backends.used.items()}


class SimulatedGpu:
    """cuda : what was made last. built : names of the models that engines were built from, in order.

    products : those that are installed
    spoil : names of models whose engines are built from another model in their place
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path, card: Card | None = None,
                 products: tuple[str, ...] = ("tensorrt-rtx",)) -> None:
        self.cuda: SimulatedCuda | None = None
        self.trt = SimulatedTensorRT(None)
        self.built: list[str] = []
        self.spoil: dict[str, Path] = {}
        card = card or Card()
        self.trt.capability = ".".join(map(str, card.capability))
        driver = Driver(SimulatedDriver(card))
        for module in (hardware, backends):
            monkeypatch.setattr(module, "Driver", lambda: driver)
        monkeypatch.setattr(hardware, "Nvml", lambda: Nvml(SimulatedNvml()))
        monkeypatch.setattr(tensorrt_products, "_has", lambda distribution: True)
        monkeypatch.setattr(Product, "is_installed", property(lambda product: product.name in products))
        monkeypatch.setattr(Product, "version", lambda product: "1.7")
        monkeypatch.setattr(Product, "load", lambda product: self.trt)
        monkeypatch.setattr("meshwright.engines.cuda.device.Cuda", self._start)
        monkeypatch.setattr(engine_loader, "build_to", self._build)
        monkeypatch.setenv("MESHWRIGHT_CACHE", str(cache))
        for axis, length in (("T", TOKENS), ("D", WIDTH)):  # which the steps of the tiny packs leave open
            monkeypatch.setitem(RANGES, axis, Range(length, length, length))

    def _start(self, *, low_priority: bool = False) -> SimulatedCuda:
        self.cuda = self.trt.cuda = SimulatedCuda(low_priority=low_priority)
        return self.cuda

    def _build(self, order, out: Path, on_progress, lock: int) -> None:
        self.built.append(order.model.stem)
        on_progress(0.5)
        axes = {name: (each.low, each.best, each.high) for name, each in order.axes.items()}
        model = self.spoil.get(order.model.stem, order.model)
        if order.weights:
            folder = out.parent / f"model-of{out.name}"  # a plan of the simulation names its model, which has to stay
            folder.mkdir(exist_ok=True)
            model = ModelWeights(model).write(order.weights, folder)
        write_plan(model, path=out, capabilities=order.capabilities, **axes)

"""One side, in a process of its own: `python -m benchmarks.gpu.worker SIDE PACK MODULES` (`harness.worker`)."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from meshwright.engines import Engine
from meshwright.engines.errors import BackendError
from meshwright.engines.machine.memory import peak_bytes, reset_peak
from meshwright.runtime import Pipeline
from meshwright.runtime.backends.models import Models
from meshwright.runtime.backends.pack_engines import RANGES
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from meshwright.runtime.pack.golden import Golden, compare_outputs
from meshwright.runtime.pack.pack import Pack

from ..harness.worker import serve
from .sides import SIDES, Tensors, open_side

# Inputs of a step that are fresh at each one; and how often what reaches a peak is tried, the first few to warm up.
FRESH, TRIES, WARM_UP = ("noise", "reference_noise"), 13, 3


class Worker:
    """Opens engines when they are first asked for, and keeps them. Every public method is a request."""

    def __init__(self, side: str, pack: str, modules: Path) -> None:
        self._side, self._pack = SIDES[side], Pack.open(pack, verify=False)
        self._golden, self._opened = Golden(self._pack), open_side(self._side, self._pack, modules)
        self._engines: dict[str, Engine] = {}
        models = Models(self._pack, backend="onnxruntime")
        models.engine = lambda kind, on_build=None: self._engine(kind)  # the recipe's models, on the engines of this side
        self._pipeline = Pipeline(models)

    def step(self, kind: str, repeat: int) -> dict[str, Any]:
        """Milliseconds of each of `repeat` evaluations; inputs and outputs stay on the device."""
        return self._timed(self._opened.ready(self._engine(kind), self._inputs(kind)), repeat)

    def loop(self, kind: str, steps: int, repeat: int) -> dict[str, Any]:
        """Milliseconds of each of `repeat` scans, from the host's arrays to the carry on the device."""
        engine, arguments = self._engine(kind), self._loop_arguments(kind, steps)
        found, choice = self._timed(lambda: engine.scan(*arguments, keep=True), repeat), engine.block_choice
        if self._side.graphs and choice is not None and not choice.use_graph:
            raise BackendError("the loop ran without a graph", received=choice.why_not or "a block takes too long")
        return {**found, "steps": steps, "block_steps": choice and choice.steps}

    def prompt(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A prompt to a GLB on the disk: seconds of its stages, and the peaks of host and device memory."""
        reset_peak()
        self._opened.reset_peak()
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            made = self._pipeline.generate(**asked)
            made.save(Path(folder) / "made.glb")
            milliseconds = 1000 * (time.perf_counter() - began)
        return {"ms": [milliseconds], "stages": dict(made.timings), "host_bytes": peak_bytes(), "device_bytes": self._opened.peak()}

    def check(self, kind: str, reference: str) -> dict[str, Any]:
        """How far the outputs for the golden inputs are from those in the file `reference`, which are left there where there is none."""
        component, path = self._pack.component(kind), Path(reference)
        outputs = self._engine(kind).run(self._golden.inputs(component))
        if not path.is_file():
            np.savez(part := path.with_suffix(f".{os.getpid()}.npz"), **outputs)
            part.rename(path)
        with np.load(path) as file:
            found = compare_outputs(outputs, {name: file[name] for name in file.files}, component)
        return {"relative": found.relative, "passed": found.passed}

    def operations(self, kind: str) -> dict[str, Any]:
        """Of one evaluation; PyTorch's sides count them."""
        return {"operations": self._engine(kind).operations(self._inputs(kind))}

    def peaks(self, side: int, copied: int) -> dict[str, Any]:
        """Operations a second of an FP16 product of random matrices, and bytes read and written a second by a copy, in PyTorch."""
        import torch

        device = "cuda" if self._side.gpu else "cpu"
        a, b = (torch.randn(side, side, device=device).half() for _ in range(2))
        source, target = (torch.ones(copied, dtype=torch.uint8, device=device) for _ in range(2))
        works = (lambda: a @ b, lambda: target.copy_(source))
        product, copy = (median(self._timed(work, TRIES)["ms"][WARM_UP:]) / 1000 for work in works)
        return {"matrix_flops": 2 * side**3 / product, "copy_bytes": 2 * copied / copy}

    def _timed(self, work: Callable[[], Any], repeat: int) -> dict[str, Any]:
        found = []
        for _ in range(repeat):
            self._opened.wait()
            began = time.perf_counter()
            work()
            self._opened.wait()
            found.append(1000 * (time.perf_counter() - began))
        return {"ms": found}

    def _engine(self, kind: str) -> Any:
        if kind not in self._engines:
            self._engines[kind] = self._opened.make(kind)
        return self._engines[kind]

    def _inputs(self, kind: str) -> dict[str, np.ndarray]:
        """The golden inputs, repeated along open axes to the length that is made fastest."""
        component = self._pack.component(kind)
        inputs = self._golden.inputs(component)
        for tensor in component.spec.inputs:
            for i, axis in enumerate(tensor.shape):
                if axis in RANGES:
                    places = np.arange(RANGES[axis].best) % inputs[tensor.name].shape[i]
                    inputs[tensor.name] = np.ascontiguousarray(np.take(inputs[tensor.name], places, i))
        return inputs

    def _loop_arguments(self, kind: str, steps: int) -> tuple[Tensors, Tensors, Tensors]:
        """carry, per_step and constants of a scan, as the recipe's loop has them for seed 0."""
        manifest, inputs = self._pack.manifest, self._inputs(kind)
        loop = {"prior_step": manifest.prior, "refiner_step": manifest.refiner, "views_step": manifest.multiview}[kind]
        table = make_table(dict(loop.schedule), steps, loop.guidance)
        rows = np.ascontiguousarray(table.rows, np.float32)
        carry = {"latent": (np.float32(table.initial_scale) * normal(0, "benchmark/init", loop.latent_shape)).astype(np.float32),
                 "previous": np.zeros(loop.latent_shape, np.float32)}
        fresh = [name for name in FRESH if name in inputs]
        per_step = {"row": rows, **{name: normal(0, f"benchmark/{name}", (len(rows), *inputs[name].shape)) for name in fresh}}
        return carry, per_step, {name: value for name, value in inputs.items() if name not in {**carry, **per_step}}


if __name__ == "__main__":
    serve(lambda: Worker(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

"""One component on one side, in a process of its own (`harness.worker`).

    python -m benchmarks.full_size.side SIDE JSON

SIDE is "eager" (PyTorch, the module that the exporter compares with) or "runtime" (the pack's file). JSON names the job. The eager side
draws the inputs and leaves them, with its outputs, in the folder `scratch`; the other side runs on the same and says how far its outputs
are off.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.engines.machine.memory import peak_bytes, reset_peak
from meshwright.runtime.geometry.isosurface.extract import CHUNK

from ..harness.worker import Answer, serve
from .job import Job
from .sizes import SIZES

# What the runtime asks for at once.
LENGTHS = {"batch": 1, "halves": 2, "points": CHUNK, "cubes": CHUNK // 8}
Tensors = dict[str, np.ndarray]


def job_of(task: dict[str, Any]) -> Job:
    return Job(task["pack"], task["precision"], SIZES[task["size"]], Path(task["files"]), Path(task["folder"]))


class Side:
    """Its public method is the request."""

    def __init__(self, side: str, task: dict[str, Any]) -> None:
        self._scratch = Path(task["scratch"])
        self._run = {"eager": self._eager, "runtime": self._runtime}[side](task)
        self._left = side == "runtime"
        self._error: float | None = None

    def run(self) -> Answer:
        """Milliseconds of one evaluation, the memory of this process at its highest, and the relative error of the first evaluation."""
        began = time.perf_counter()
        outputs = self._run()
        milliseconds = 1000 * (time.perf_counter() - began)
        peak = peak_bytes()
        if not self._left:
            np.savez(self._scratch / "outputs.npz", **outputs)
            self._left = True
        if self._error is None:
            self._error = relative_error(outputs, self._scratch)
        return {"ms": [milliseconds], "peak_bytes": peak, "error": self._error}

    def _eager(self, task: dict[str, Any]) -> Callable[[], Tensors]:
        """Loads the module, in FP32, and draws its inputs."""
        import torch

        from ..harness.eager import eager

        torch.set_num_threads(task["threads"])
        spec = job_of(task).component(task["kind"])
        inputs = spec.sample(np.random.default_rng(0), LENGTHS)
        np.savez(self._scratch / "inputs.npz", **inputs)
        run = partial(eager(spec), inputs)
        del spec
        gc.collect()
        reset_peak()
        return run

    def _runtime(self, task: dict[str, Any]) -> Callable[[], Tensors]:
        """Opens the file as a pipeline does."""
        from meshwright.runtime.backends.models import Models
        from meshwright.runtime.pack.pack import Pack

        engine = Models(Pack.open(job_of(task).target, verify=False), threads=task["threads"]).engine(task["kind"])
        with np.load(self._scratch / "inputs.npz") as file:
            inputs = {tensor.name: file[tensor.name] for tensor in engine.spec.inputs}
        return lambda: engine.run(inputs)


def relative_error(outputs: Tensors, scratch: Path) -> float:
    """max|a - b| / max|b| against the outputs that the eager side left, the worst of all outputs."""
    with np.load(scratch / "outputs.npz") as wanted:
        return max(float(np.abs(outputs[name] - wanted[name]).max() / max(np.abs(wanted[name]).max(), 1e-12)) for name in wanted.files)


if __name__ == "__main__":
    serve(lambda: Side(sys.argv[1], json.loads(sys.argv[2])))

"""One component on one side, in a process of its own, so that its memory is its own.

    python -m benchmarks.full_size_worker SIDE JSON

SIDE is "eager" (PyTorch, the module that the exporter compares with) or "runtime" (the pack's file). JSON names the job.
Answers one JSON object a line: first that it is ready, then one for each line it reads. The eager side draws the inputs and
leaves them, with its outputs, in the folder `scratch`; the other side runs on the same and says how far its outputs are off.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.engines.machine.memory import peak_bytes, reset_peak
from meshwright.engines.machine.parent import end_with_parent
from meshwright.runtime.geometry.isosurface.extract import CHUNK

from . import published_sizes
from .full_size_packs import Job

SIZES = {"full": published_sizes.FULL, "small": published_sizes.SMALL}
# What the runtime asks for at once.
LENGTHS = {"batch": 1, "points": CHUNK, "cubes": CHUNK // 8}
Tensors = dict[str, np.ndarray]


def job_of(task: dict[str, Any]) -> Job:
    return Job(task["pack"], task["precision"], SIZES[task["size"]], Path(task["files"]), Path(task["folder"]))


def eager(task: dict[str, Any], scratch: Path) -> Callable[[], Tensors]:
    """Loads the module, in FP32, and draws its inputs."""
    import torch

    torch.set_num_threads(task["threads"])
    spec = job_of(task).component(task["kind"])
    module = (spec.module if spec.reference is None else spec.reference).eval().requires_grad_(False)
    inputs = spec.sample(np.random.default_rng(0), LENGTHS)
    np.savez(scratch / "inputs.npz", **inputs)
    tensors, names = [torch.from_numpy(np.array(value)) for value in inputs.values()], spec.outputs

    def run() -> Tensors:
        with torch.inference_mode():
            outputs = module(*tensors)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {name: tensor.numpy() for name, tensor in zip(names, outputs, strict=True)}

    del spec
    gc.collect()
    reset_peak()
    return run


def runtime(task: dict[str, Any], scratch: Path) -> Callable[[], Tensors]:
    """Opens the file as a pipeline does."""
    from meshwright.runtime.backends.models import Models
    from meshwright.runtime.pack.pack import Pack

    models = Models(Pack.open(job_of(task).target, verify=False), threads=task["threads"])
    engine = models.engine(task["kind"])
    with np.load(scratch / "inputs.npz") as file:
        inputs = {name: file[name] for name in file.files}
    taken = {tensor.name for tensor in engine.spec.inputs}
    return lambda: engine.run({name: value for name, value in inputs.items() if name in taken})


def relative_error(outputs: Tensors, scratch: Path) -> float:
    """max|a - b| / max|b| against the outputs that the eager side left, the worst of all outputs."""
    with np.load(scratch / "outputs.npz") as wanted:
        return max(float(np.abs(outputs[name] - wanted[name]).max() / max(np.abs(wanted[name]).max(), 1e-12)) for name in wanted.files)


def answers(side: str, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    began, scratch = time.perf_counter(), Path(task["scratch"])
    run = {"eager": eager, "runtime": runtime}[side](task, scratch)
    yield {"ready": time.perf_counter() - began}
    first = True
    for _ in sys.stdin:
        began = time.perf_counter()
        outputs = run()
        answer: dict[str, Any] = {"seconds": time.perf_counter() - began, "peak_bytes": peak_bytes()}
        if first and side == "eager":
            np.savez(scratch / "outputs.npz", **outputs)
        elif first:
            answer["error"] = relative_error(outputs, scratch)
        first = False
        yield answer


if __name__ == "__main__":
    end_with_parent(os.getppid())
    for answer in answers(sys.argv[1], json.loads(sys.argv[2])):
        print(json.dumps(answer), flush=True)

"""One side of the GPU benchmark, in a process of its own.

    python -m benchmarks.gpu_worker JSON

JSON is a `gpu_sides.Task`. Reads a request a line, {"do": "step", ...}; answers each with one line, {"failed": "..."} where it
did not work. What the vendors' libraries print goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from meshwright.engines import Engine
from meshwright.engines.errors import BackendError
from meshwright.engines.machine.memory import peak_bytes, reset_peak
from meshwright.engines.machine.parent import end_with_parent
from meshwright.runtime import Pipeline
from meshwright.runtime.backends.models import Models
from meshwright.runtime.images.pictures import read_picture
from meshwright.runtime.pack.golden import Golden, compared
from meshwright.runtime.pack.pack import Pack

from .gpu_inputs import loop_arguments, loops_of, step_inputs
from .gpu_sides import SIDES, Opened, Task, open_side


class Worker:
    """Opens engines when they are first asked for, and keeps them. Every public method is a request."""

    def __init__(self, task: Task, opened: Opened | None = None) -> None:
        self._task, self._pack = task, Pack.open(task.pack, verify=False)
        self._golden = Golden(self._pack)
        self._opened = opened or open_side(task, self._pack)
        self._engines: dict[str, Engine] = {}
        self._ready: dict[str, Any] = {}
        self._pipeline = Pipeline(_BenchModels(self._pack, self._engine, task.threads))

    def check(self, kind: str, reference: str | None) -> dict[str, Any]:
        """The golden inputs' error against what stands in the file `reference`, or against the golden outputs.

        With a reference that is not there yet, the outputs are left in it.
        """
        component = self._pack.component(kind)
        outputs = self._engine(kind).run(self._golden.inputs(component))
        expected = self._golden.outputs(component)
        if reference is not None and Path(reference).is_file():
            with np.load(reference) as file:
                expected = {name: file[name] for name in file.files}
        elif reference is not None:
            _save(Path(reference), outputs)
        found = compared(outputs, expected, component)
        return {"relative": found.relative, "tolerance": component.tolerance, "passed": found.passed}

    def step(self, kind: str, repeat: int) -> dict[str, Any]:
        """Milliseconds of each of `repeat` evaluations; inputs and outputs stay on the device."""
        if kind not in self._ready:
            component = self._pack.component(kind)
            self._ready[kind] = self._opened.ready(self._engine(kind))(step_inputs(self._golden, component))
        return {"ms": [self._opened.clock.milliseconds(self._ready[kind]) for _ in range(repeat)], "events": self._opened.clock.events}

    def loop(self, kind: str, steps: int, repeat: int) -> dict[str, Any]:
        """Milliseconds of each of `repeat` scans, from the host's arrays to the carry on the device."""
        component = self._pack.component(kind)
        carry, per_step, constants = loop_arguments(self._golden, component, loops_of(self._pack)[kind], steps)
        engine = self._engine(kind)

        def scan() -> None:
            engine.scan(carry, per_step, constants, keep=True)

        found = [self._opened.clock.milliseconds(scan) for _ in range(repeat)]
        if SIDES[self._task.side].graph and engine.block_choice is not None and engine.block_choice.why_not is not None:
            raise BackendError("the loop ran without a graph", received=engine.block_choice.why_not)
        return {"ms": found, "events": self._opened.clock.events}

    def run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One request to a GLB on the disk: its stages' seconds, and the peaks of host and GPU memory in bytes.

        asked : options of `Pipeline.generate`, a picture as the name of its file
        """
        asked = {name: read_picture(value) if name == "image" else value for name, value in asked.items()}
        reset_peak()
        self._opened.reset_peak()
        began = time.perf_counter()
        made = self._pipeline.generate(**asked)
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder) / "made.glb")
        return {"ms": [1000 * (time.perf_counter() - began)], "events": False, "stages": dict(made.timings),
                "host_bytes": peak_bytes(), "device_bytes": self._opened.peak()}

    def work(self, kind: str) -> dict[str, Any]:
        """Operations of one evaluation, and the bytes of its weights, inputs and outputs: PyTorch's side alone counts them."""
        component, engine = self._pack.component(kind), self._engine(kind)
        inputs = step_inputs(self._golden, component)
        half = 2 if component.compute == "fp16" else 4
        moved = half * component.parameters + sum(value.nbytes for value in inputs.values())
        return {"operations": engine.work(inputs), "bytes": moved}

    def peaks(self) -> dict[str, Any]:
        """The card's largest rates, see `gpu_peaks`."""
        from .gpu_peaks import peaks

        return peaks()

    def _engine(self, kind: str) -> Engine:
        if kind not in self._engines:
            self._engines[kind] = self._opened.make(kind)
        return self._engines[kind]


class _BenchModels(Models):
    """The recipe's models, on the engines of one side."""

    def __init__(self, pack: Pack, make: Any, threads: int | None) -> None:
        super().__init__(pack, backend="onnxruntime", threads=threads)
        self._make = make

    def engine(self, kind: str) -> Engine:
        return self._make(kind)

    def open_ahead(self, kinds: Iterable[str]) -> None:
        """The sides open their engines themselves."""


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    np.savez(part, **arrays)
    os.replace(part, path)


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """What a request gives, or why it gives nothing: a benchmark goes on without what fails."""
    try:
        return getattr(worker, request.pop("do"))(**request)
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    end_with_parent(os.getppid())
    answers = _private_output()
    try:
        worker = Worker(Task(**json.loads(sys.argv[1])))
    except Exception as error:
        traceback.print_exc()
        return _say(answers, {"failed": f"{type(error).__name__}: {error}"})
    _say(answers, {"ready": dataclasses.asdict(worker._task)["side"]})
    for line in sys.stdin:
        _say(answers, answer(worker, json.loads(line)))


def _private_output() -> TextIO:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, words: dict[str, Any]) -> None:
    print(json.dumps(words), file=answers, flush=True)


if __name__ == "__main__":
    main()

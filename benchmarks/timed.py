"""One side of the latency benchmark, in a process of its own, so that its memory is its own.

    python -m benchmarks.timed SIDE PACK THREADS [CHECKPOINTS]

SIDE is "runtime" or "eager". Says on standard output, one JSON object a line, how long the start took; then reads the options
of a generation as a JSON object a line and answers with the run's figures; at "verify" it replays the pack's golden inputs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

STARTED = time.perf_counter()


class Timed:
    """An engine that adds up how long it has been at work."""

    def __init__(self, kind: str, engine, seconds: dict[str, float]) -> None:
        self._kind, self._engine, self._seconds = kind, engine, seconds

    def run(self, inputs: Mapping, **options) -> dict:
        return self._timed(lambda: self._engine.run(inputs, **options))

    def scan(self, *tensors: Mapping, **options) -> dict:
        return self._timed(lambda: self._engine.scan(*tensors, **options))

    def close(self) -> None:
        self._engine.close()

    def _timed(self, work: Callable[[], dict]) -> dict:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds[self._kind] += time.perf_counter() - began


def open_pipeline(side: str, pack_name: str, threads: int, checkpoints: Path | None):
    """The pipeline of one side, and the seconds of its components, which runs add to."""
    from meshwright.runtime import Pipeline
    from meshwright.runtime.backends.models import Models
    from meshwright.runtime.pack.pack import Pack

    pack, seconds, make = Pack.open(pack_name), defaultdict(float), None
    if side == "eager":
        from .eager import EagerComponents

        make = EagerComponents(pack, checkpoints, threads)

    class TimedModels(Models):
        def __init__(self) -> None:
            super().__init__(pack, threads=threads)
            self._timed: dict[str, Timed] = {}

        def engine(self, kind: str) -> Timed:
            if kind not in self._timed:
                self._timed[kind] = Timed(kind, make(kind) if make else super().engine(kind), seconds)
            return self._timed[kind]

    return Pipeline(TimedModels()), seconds


def run(pipeline, seconds: dict[str, float], **options) -> dict:
    """One prompt or picture to a GLB: seconds and peak memory of each stage, seconds of each component and of the matting.

    options : of `Pipeline.stream`, a picture by its file, which is read within the time that is measured
    """
    from meshwright.runtime import read_picture
    from meshwright.runtime.events import Result, StageDone, StageStarted

    seconds.clear()
    began, stages, memory = time.perf_counter(), {}, {}
    if "image" in options:
        options["image"] = read_picture(options["image"])
    for event in pipeline.stream(**options):
        if isinstance(event, StageStarted):
            forget_peak()
        elif isinstance(event, StageDone):
            stages[event.stage], memory[event.stage] = event.seconds, peak_memory()
        elif isinstance(event, Result):
            made = event.generation
    forget_peak()
    saving = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.glb"
        made.save(path)
        size = path.stat().st_size
    stages["write GLB"], memory["write GLB"] = time.perf_counter() - saving, peak_memory()
    return {"total": time.perf_counter() - began, "stages": stages, "memory": memory, "networks": dict(seconds),
            "matting": sum(cutout.seconds for cutout in made.stages.cutouts), "glb_bytes": size, "notices": list(made.notices)}


def peak_memory() -> float:
    """Largest resident memory since `forget_peak`, in MB; since the start where the system cannot forget."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak() -> None:
    """Linux: let the peak start again from what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _verified(pipeline) -> dict:
    from meshwright.runtime.backends.models import verify_pack

    checks = list(verify_pack(pipeline.models))
    return {"relative": {check.component: check.relative for check in checks}, "passed": all(c.passed for c in checks)}


def _answers(arguments: list[str]) -> Iterator[dict]:
    side, pack, threads, *checkpoints = arguments
    pipeline, seconds = open_pipeline(side, pack, int(threads), Path(checkpoints[0]) if checkpoints else None)
    yield {"start": time.perf_counter() - STARTED, "memory": peak_memory()}
    for line in sys.stdin:
        if line.strip() == "verify":
            yield _verified(pipeline)
        else:
            yield run(pipeline, seconds, **json.loads(line))


if __name__ == "__main__":
    for answer in _answers(sys.argv[1:]):
        print(json.dumps(answer), flush=True)

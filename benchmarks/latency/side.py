"""One side of the latency benchmark, in a process of its own (`harness.worker`).

    python -m benchmarks.latency.side SIDE PACK THREADS [CHECKPOINTS]

SIDE is "runtime", or "eager" for PyTorch.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from meshwright.engines.machine.memory import peak_bytes, reset_peak
from meshwright.runtime import Pipeline, read_picture, verify_pack
from meshwright.runtime.backends.models import Models
from meshwright.runtime.events import Result, StageDone, StageStarted
from meshwright.runtime.pack.pack import Pack
from meshwright.runtime.speed import TimedEngine

from ..harness.worker import serve


class TimedModels(Models):
    """The recipe's models on the engines of one side. seconds : of each component, which runs add to"""

    def __init__(self, side: str, pack: Pack, threads: int, checkpoints: Path | None) -> None:
        super().__init__(pack, threads=threads)
        self.seconds: dict[str, float] = defaultdict(float)
        self._timed: dict[str, TimedEngine] = {}
        self._make: Callable[[str], object] = super().engine
        if side == "eager":
            self._make = _eager_components(pack, checkpoints, threads)
            self.open_ahead = lambda kinds: None  # its components are PyTorch's

    def engine(self, kind: str) -> TimedEngine:
        if kind not in self._timed:
            self._timed[kind] = TimedEngine(self._make(kind), kind, self.seconds)
        return self._timed[kind]


def _eager_components(pack: Pack, checkpoints: Path, threads: int) -> Callable[[str], object]:
    import torch

    from meshwright.export.props.pack import components

    from ..harness.eager import EagerEngine

    torch.set_num_threads(threads)
    specs = {spec.kind: spec for spec in components(checkpoints)}
    return lambda kind: EagerEngine(specs[kind], pack.component(kind).spec)


class Side:
    """Its public methods are the requests."""

    def __init__(self, side: str, pack: str, threads: int, checkpoints: Path | None = None) -> None:
        self._models = TimedModels(side, Pack.open(pack), threads, checkpoints)
        self.pipeline = Pipeline(self._models)

    def run(self, **options) -> dict:
        """One prompt or picture to a GLB: seconds and peak memory (MB) of each stage, seconds of each component and of the matting.

        options : of `Pipeline.stream`, a picture by its file, which is read within the time that is measured
        """
        self._models.seconds.clear()
        began, stages, memory = time.perf_counter(), {}, {}
        if "image" in options:
            options["image"] = read_picture(options["image"])
        for event in self.pipeline.stream(**options):
            if isinstance(event, StageStarted):
                reset_peak()
            elif isinstance(event, StageDone):
                stages[event.stage], memory[event.stage] = event.seconds, _peak()
            elif isinstance(event, Result):
                made = event.generation
        reset_peak()
        saving = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made.glb"
            made.save(path)
            size = path.stat().st_size
        stages["write GLB"], memory["write GLB"] = time.perf_counter() - saving, _peak()
        return {"total": time.perf_counter() - began, "stages": stages, "memory": memory, "networks": dict(self._models.seconds),
                "matting": sum(cutout.seconds for cutout in made.stages.cutouts), "glb_bytes": size, "notices": list(made.notices)}

    def verify(self) -> dict:
        """Replay the pack's golden inputs."""
        checks = list(verify_pack(self._models))
        return {"relative": {check.component: check.relative for check in checks}, "passed": all(c.passed for c in checks)}


def _peak() -> float:
    return (peak_bytes() or 0) / (1 << 20)


def _open() -> Side:
    side, pack, threads, *checkpoints = sys.argv[1:]
    return Side(side, pack, int(threads), *map(Path, checkpoints))


if __name__ == "__main__":
    serve(_open)

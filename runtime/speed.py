"""How fast a pack is on this machine: seconds of each stage and of each component, and the memory that a run takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..engines import Engine
from ..engines.machine.memory import peak_bytes, reset_peak
from .backends.models import Models
from .events import Event
from .images.pictures import Picture
from .pack.pack import Pack
from .pipeline import Pipeline
from .recipes.routes import follows_prompts
from .request import Request

if TYPE_CHECKING:
    from .backends.pack_engines import OnBuild

PROMPT, PICTURE_SIZE = "a red chair", 256


@dataclass(frozen=True)
class Speed:
    """What was measured, in seconds.

    first : of the first mesh in this process, opening the model files included; warm : of each later one
    stages, components : name -> median of the later ones, in the order of the run; the components' time is part of the stages'
    peak_bytes : the most memory that the process had, None where the system does not tell
    device_bytes : the most of the GPU's memory that the engines held, None where nothing ran there
    provenance : backend and providers, as `Generation.provenance`
    """

    first: float
    warm: tuple[float, ...]
    stages: Mapping[str, float]
    components: Mapping[str, float]
    peak_bytes: int | None
    device_bytes: int | None
    provenance: Mapping[str, Any]


class TimedModels(Models):
    """Models whose engines add up how long they are at work. seconds : of each component so far"""

    def __init__(self, pack: Pack, **options: Any) -> None:
        super().__init__(pack, **options)
        self.seconds: dict[str, float] = defaultdict(float)

    def engine(self, kind: str, on_build: OnBuild = lambda name, share: None) -> Engine:
        """As `Models.engine`."""
        return cast(Engine, TimedEngine(super().engine(kind, on_build), kind, self.seconds))


class TimedEngine:
    """An engine that adds up how long it has been at work."""

    def __init__(self, engine: Engine, kind: str, seconds: dict[str, float]) -> None:
        self._engine, self._kind, self._seconds = engine, kind, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, *tensors: Any, **options: Any) -> Any:
        """As `Engine.run`."""
        return self._timed(lambda: self._engine.run(*tensors, **options))

    def scan(self, *tensors: Any, **options: Any) -> Any:
        """As `Engine.scan`."""
        return self._timed(lambda: self._engine.scan(*tensors, **options))

    def _timed(self, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds[self._kind] += time.perf_counter() - began


def measure(models: TimedModels, rounds: int, on_event: Callable[[Event], None] | None = None, steps: int | None = None) -> Speed:
    """Make the same mesh once, and then `rounds` times, with nothing written.

    steps : of the loop that draws the views, None for the pack's
    Errors: as `Pipeline.generate`
    """
    request = sample_request(models.pack, steps)
    reset_peak()
    runs, device = [], None
    pipeline = Pipeline(models)
    for _ in range(rounds + 1):
        models.seconds.clear()
        began = time.perf_counter()
        made = pipeline.generate(request, on_event=on_event)
        encoding = time.perf_counter()
        made.encode(Path("bench.glb"))
        ended = time.perf_counter()
        stages = {name: made.timings[name] for name in pipeline.stages_of(request)} | {"file": ended - encoding}
        runs.append((ended - began, stages, dict(models.seconds)))
        device = max(made.device_memory.values(), default=device)
    warm = runs[1:]
    return Speed(runs[0][0], tuple(seconds for seconds, _, _ in warm), _medians([stages for _, stages, _ in warm]),
                 _medians([components for _, _, components in warm]), peak_bytes(), device, models.provenance())


def sample_request(pack: Pack, steps: int | None = None) -> Request:
    """A prompt, or for a pack that takes pictures alone a red disc."""
    options: dict[str, Any] = {} if steps is None else {"steps": steps}
    if follows_prompts(pack.manifest):
        return Request.load(PROMPT, **options)
    across = np.linspace(-1.2, 1.2, PICTURE_SIZE)
    inside = across[:, None] ** 2 + across**2 < 1
    disc = np.zeros((PICTURE_SIZE, PICTURE_SIZE, 4), np.uint8)
    disc[inside] = (200, 40, 40, 255)
    return Request.load("", image=Picture.of(disc), **options)


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(run.get(name, 0.0) for run in runs) for name in runs[0]}

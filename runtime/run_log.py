"""What the events of a run have told so far."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from .events import CoarseMesh, CoarseViews, Event, Notice, StageDone, Surface, Views
from .geometry.mesh import Mesh
from .results import Cutout, Stages


class RunLog:
    """Timings, notices and early results."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self.peak_memory: dict[str, int] = {}
        self.device_memory: dict[str, int] = {}
        self.loading = 0.0
        self.notices: list[str] = []
        self.cutouts: list[Cutout] = []
        self._early: dict[type, Any] = {}
        self._first: dict[type, Any] = {}

    def record(self, recipe: Generator[Event, None, Mesh]) -> Generator[Event, None, Mesh]:
        """Pass the events of `recipe` on, and note them; return what it returns."""
        with closing(recipe):
            while True:
                try:
                    event = next(recipe)
                except StopIteration as end:
                    mesh: Mesh = end.value
                    return mesh
                self._add(event)
                yield event

    def has(self, kind: type) -> bool:
        """Whether there was an event of that kind."""
        return kind in self._first

    def first(self, kind: type) -> Any:
        """The first event of a kind that there was."""
        return self._first[kind]

    def stages(self) -> Stages:
        early = self._early
        return Stages(early[CoarseMesh].mesh if CoarseMesh in early else None,
                      early[CoarseViews].images if CoarseViews in early else None,
                      early[Views].images, early[Surface].mesh, tuple(self.cutouts))

    def _add(self, event: Event) -> None:
        if isinstance(event, StageDone):
            self.timings[event.stage] = event.seconds
            self.loading += event.loading
            if event.peak_bytes is not None:
                self.peak_memory[event.stage] = event.peak_bytes
            if event.device_bytes is not None:
                self.device_memory[event.stage] = event.device_bytes
        elif isinstance(event, Notice):
            if event.message not in self.notices:
                self.notices.append(event.message)
        elif isinstance(event, Cutout):
            self.cutouts.append(event)
        else:
            self._early[type(event)] = event
            self._first.setdefault(type(event), event)

"""Progress on standard error: one line that changes on a terminal, one line per stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from ...engines.errors import printable
from ..events import EngineBuild, Event, Notice, StageDone, StageStarted, Step

ERASE = "\r\x1b[K"
# A file that takes less to read gets no line of its own, in seconds.
MIN_SECONDS_SHOWN = 1.0
# Before this share of a build a guess from the time so far would be wild.
EARLIEST = 0.2


class Progress:
    """What a command says while it works.

    stages : names in order, of a run's stages or of the components that engines are built for, which must be there before the first
    """

    def __init__(self, stream: TextIO, stages: Sequence[str] = (), *, quiet: bool = False) -> None:
        self.stream, self.stages, self.quiet = stream, tuple(stages), quiet
        self.live = stream.isatty() and not quiet
        self._stage, self._started = "", 0.0
        self._estimate: float | None = None

    def __call__(self, event: Event) -> None:
        """What an event of a run says."""
        if isinstance(event, StageStarted):
            self.begin(event.stage)
        elif isinstance(event, Step):
            self._show(f"{self._label(event.stage)}  step {event.index} of {event.total}")
        elif isinstance(event, EngineBuild):
            self._show(f"building an engine for {event.component}: {100 * event.share:.0f} %")
        elif isinstance(event, StageDone):
            self._line(f"{self._label(event.stage)}  {event.seconds:6.2f} s")
        elif isinstance(event, Notice):
            self.note(event.message)

    def note(self, message: str) -> None:
        """Something that the user should know."""
        self._line(printable(f"note: {message}"))

    def begin(self, stage: str) -> None:
        """It is next."""
        self._stage, self._started, self._estimate = stage, time.perf_counter(), None
        self._show(self._label(stage))

    def build_started(self, estimate: float | None) -> None:
        """An engine is built for the stage that was begun. estimate : seconds, None where nothing is known."""
        self._estimate, self._started = estimate, time.perf_counter()
        self._show(f"{self._label(self._stage)}  building" + (f", about {max(estimate, 1):.0f} s" if estimate is not None else ""))

    def building(self, share: float) -> None:
        """share : of the engine that is done, in [0, 1]"""
        left = self.seconds_left(share, time.perf_counter() - self._started)
        self._show(f"{self._label(self._stage)}  {100 * share:3.0f} %" + (f", about {max(left, 1):.0f} s left" if left is not None else ""))

    def step(self, name: str, seconds: float | None) -> None:
        """A step of `make_asset`, which begins where `seconds` is None, and else has taken so many."""
        if seconds is None:
            self.begin(name)
        else:
            self.done(f"{seconds:6.2f} s")

    def done(self, text: str) -> None:
        """The stage that was begun has ended so."""
        self._line(f"{self._label(self._stage)}  {text}")

    def seconds_left(self, share: float, past: float) -> float | None:
        """Of a build: by the time that such a build took before, else by the share that is done after `past` seconds."""
        if self._estimate is not None and past < self._estimate:
            return self._estimate - past
        return past * (1 - share) / share if share >= EARLIEST else None

    def reading(self, path: Path) -> Callable[[float], None]:
        """What `read_mesh` calls with the share of the file that is read: the stage before all others."""
        started = time.monotonic()

        def show(done: float) -> None:
            seconds = time.monotonic() - started
            if done < 1:
                self._show(printable(f"reading {path.name}  {100 * done:.0f} %"))
            elif seconds > MIN_SECONDS_SHOWN:
                self._line(printable(f"reading {path.name}  {seconds:6.2f} s"))

        return show

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        self._show("")

    def _label(self, stage: str) -> str:
        number = self.stages.index(stage) + 1
        return f"[{number}/{len(self.stages)}] {stage:<{max(map(len, self.stages))}}"

    def _show(self, text: str) -> None:
        if self.live:
            self.stream.write(ERASE + text)
            self.stream.flush()

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.stream.write((ERASE if self.live else "") + text + "\n")
            self.stream.flush()

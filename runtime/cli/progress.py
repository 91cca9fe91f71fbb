"""Progress on standard error: one line that changes on a terminal, one line per stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ...engines.errors import printable
from ..events import EngineBuild, Event, Notice, StageDone, StageStarted, Step

ERASE = "\r\x1b[K"
# A file that takes less to read gets no line of its own, in seconds.
NOT_WORTH_A_LINE = 1.0


class Progress:
    """Writes what the events of one run say. stages : their names in order, which a run must have before it starts."""

    def __init__(self, stream: TextIO, stages: tuple[str, ...] = (), *, quiet: bool = False) -> None:
        self.stream, self.stages, self.quiet = stream, stages, quiet
        self.live = stream.isatty()

    def __call__(self, event: Event) -> None:
        if self.quiet:
            return
        if isinstance(event, StageStarted):
            self._show(self._label(event.stage))
        elif isinstance(event, Step):
            self._show(f"{self._label(event.stage)}  step {event.index} of {event.total}")
        elif isinstance(event, EngineBuild):
            self._show(f"building an engine for {event.component}: {100 * event.share:.0f} %")
        elif isinstance(event, StageDone):
            self._line(f"{self._label(event.stage)}  {event.seconds:6.2f} s")
        elif isinstance(event, Notice):
            self._line(printable(f"note: {event.message}"))

    def reading(self, path: Path) -> Callable[[float], None]:
        """What `read_mesh` calls with the share of the file that is read: the stage before all others."""
        started = time.monotonic()

        def show(done: float) -> None:
            seconds = time.monotonic() - started
            if done < 1:
                self._show(printable(f"reading {path.name}  {100 * done:.0f} %"))
            elif seconds > NOT_WORTH_A_LINE:
                self._line(printable(f"reading {path.name}  {seconds:6.2f} s"))

        return (lambda done: None) if self.quiet else show

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self.live and not self.quiet:
            self.stream.write(ERASE)
            self.stream.flush()

    def _label(self, stage: str) -> str:
        number = self.stages.index(stage) + 1
        return f"[{number}/{len(self.stages)}] {stage:<{max(map(len, self.stages))}}"

    def _show(self, text: str) -> None:
        if self.live:
            self.stream.write(ERASE + text)
            self.stream.flush()

    def _line(self, text: str) -> None:
        self.stream.write((ERASE if self.live else "") + text + "\n")
        self.stream.flush()

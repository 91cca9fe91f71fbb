"""Progress on standard error: one line that changes on a terminal, one line per stage elsewhere."""

from __future__ import annotations

from typing import TextIO

from ..engines.errors import printable
from .events import EngineBuild, Event, Notice, StageDone, StageStarted, Step

ERASE = "\r\x1b[K"


class Progress:
    """Writes what the events of one run say. stages : their names, in order."""

    def __init__(self, stream: TextIO, stages: tuple[str, ...], *, quiet: bool = False) -> None:
        self.stream, self.stages, self.quiet = stream, stages, quiet
        self.live = stream.isatty()
        self._width = max(map(len, stages))

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

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self.live and not self.quiet:
            self.stream.write(ERASE)
            self.stream.flush()

    def _label(self, stage: str) -> str:
        number = self.stages.index(stage) + 1
        return f"[{number}/{len(self.stages)}] {stage:<{self._width}}"

    def _show(self, text: str) -> None:
        if self.live:
            self.stream.write(ERASE + text)
            self.stream.flush()

    def _line(self, text: str) -> None:
        self.stream.write((ERASE if self.live else "") + text + "\n")
        self.stream.flush()

"""What `meshwright build` says on standard error while it works."""

from __future__ import annotations

import time
from typing import TextIO

from .progress import ERASE

# Before this share a guess from the time so far would be wild.
EARLIEST = 0.2


class BuildProgress:
    """One component at a time: a line that changes on a terminal, one line each elsewhere."""

    def __init__(self, stream: TextIO, names: list[str], *, quiet: bool = False) -> None:
        self.stream, self.quiet = stream, quiet
        self.live = stream.isatty() and not quiet
        self._names, self._width = names, max(map(len, names))
        self._label, self._started = "", 0.0
        self._estimate: float | None = None

    def component(self, name: str) -> None:
        """It is next."""
        self._label = f"[{self._names.index(name) + 1}/{len(self._names)}] {name:<{self._width}}"
        self._started, self._estimate = time.perf_counter(), None

    def note(self, message: str) -> None:
        """Something that the user should know."""
        self._line(f"note: {message}")

    def start(self, estimate: float | None) -> None:
        """Its build begins. estimate : seconds, None where nothing is known."""
        self._estimate, self._started = estimate, time.perf_counter()
        self._show("building" + (f", about {max(estimate, 1):.0f} s" if estimate is not None else ""))

    def progress(self, share: float) -> None:
        """share : that is done, in [0, 1]."""
        left = self.seconds_left(share, time.perf_counter() - self._started)
        self._show(f"{100 * share:3.0f} %" + (f", about {max(left, 1):.0f} s left" if left is not None else ""))

    def done(self, text: str) -> None:
        """It has ended so."""
        self._line(f"{self._label}  {text}")

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self.live:
            self.stream.write(ERASE)
            self.stream.flush()

    def seconds_left(self, share: float, past: float) -> float | None:
        """By the time that such a build took before, else by the share that is done after `past` seconds."""
        if self._estimate is not None and past < self._estimate:
            return self._estimate - past
        return past * (1 - share) / share if share >= EARLIEST else None

    def _show(self, text: str) -> None:
        if self.live:
            self.stream.write(f"{ERASE}{self._label}  {text}")
            self.stream.flush()

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.stream.write((ERASE if self.live else "") + text + "\n")
            self.stream.flush()

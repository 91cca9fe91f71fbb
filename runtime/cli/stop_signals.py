"""Ctrl-C, SIGTERM and SIGHUP: the work ends by KeyboardInterrupt, whichever comes, so that everything is cleaned up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

# What asks a process to end. Windows knows no SIGHUP, and sends SIGBREAK when a console is closed or Ctrl-Break pressed.
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# Seconds after which it is looked whether the work is still going on.
AGAIN = 0.25


class Stopped(KeyboardInterrupt):
    """Not a plain one: where that comes out of a string that is executed, as dataclasses do while a module is imported, Python ends
    the process by SIGINT in the end, whatever the exit code."""


class StopSignals:
    """Within, such a signal raises Stopped. came : the first one's number, None if there was none.

    Compiled modules drop what is raised while they are imported (numpy.random does): then it is raised again. A signal that whoever
    started us ignores, as nohup does with SIGHUP, stays ignored.
    """

    def __enter__(self) -> StopSignals:
        self.came: int | None = None
        self._before: dict[int, Any] = {}
        for name in STOPPING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._set(number, self._stop)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if hasattr(signal, "setitimer") and self.came is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _set(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        with suppress(ValueError):  # only the main thread can
            self._before.setdefault(number, signal.signal(number, handler))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.came is not None and number != signal.SIGINT:
            return  # it is being stopped; only Ctrl-C is so impatient
        self.came = self.came or number
        if hasattr(signal, "setitimer"):
            self._set(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        raise Stopped

    def _look(self, number: int, frame: FrameType | None) -> None:
        """Stop the work again, unless it is being cleaned up after the first time: then the interrupt is being handled."""
        error = sys.exception()
        while error is not None:
            if isinstance(error, KeyboardInterrupt):
                return
            error = error.__context__
        raise Stopped

"""The command line as a process: its standard streams, and the signals that stop it.

Standard output and error, closed, full, or read by nobody, never end the work: progress and messages that cannot be printed are
dropped, results that cannot be printed are remembered for the exit code. Ctrl-C, SIGTERM and SIGHUP all end the work by
KeyboardInterrupt, so that everything is cleaned up.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

# ENABLE_PROCESSED_OUTPUT and ENABLE_VIRTUAL_TERMINAL_PROCESSING of SetConsoleMode.
ESCAPE_CODES = 0x1 | 0x4
# What asks a process to end. Windows knows no SIGHUP, and sends SIGBREAK when a console is closed or Ctrl-Break pressed.
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# Seconds after which it is looked whether the work is still going on.
REPEAT_SECONDS = 0.25


class Stream:
    """Writes to `stream` for as long as that works. failure : why it stopped working, None if it did not.

    What the stream's encoding cannot say is written as an escape. stream : None where the process was started without it
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: str | None = None
        given: Any = stream  # what has no `reconfigure`, or is not there, is as it is
        with suppress(AttributeError, OSError, ValueError):
            given.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """All of `text`, or nothing any more."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """What was written before, if the stream still takes it."""
        if self._stream is not None:
            self._try("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal that a line can be erased on."""
        return self._stream is not None and bool(self._try("isatty")) and erases_lines(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, method: str, *arguments: object) -> Any:
        if self.failure is not None:
            return None
        if self._stream is None:
            self.failure = "it is closed" if method == "write" else None
            return None
        try:
            return getattr(self._stream, method)(*arguments)
        except (OSError, ValueError) as error:  # ValueError: of a closed file
            self.failure = getattr(error, "strerror", None) or str(error)
            _discard_buffer(self._stream)
            return None


@contextmanager
def standard_streams() -> Iterator[tuple[Stream, Stream]]:
    """Within, sys.stdout and sys.stderr are such streams."""
    _fill_descriptors()
    before, ours = (sys.stdout, sys.stderr), (Stream(sys.stdout), Stream(sys.stderr))
    sys.stdout, sys.stderr = ours
    try:
        yield ours
    finally:
        for stream in ours:
            stream.flush()
        sys.stdout, sys.stderr = before


def erases_lines(stream: TextIO) -> bool:
    """Whether a terminal knows escape codes. A console of Windows must be told to heed them, and older ones cannot."""
    if sys.platform != "win32":
        return True
    import ctypes
    import msvcrt

    mode = ctypes.c_uint32()
    try:
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
    except (OSError, ValueError):
        return False
    kernel = ctypes.windll.kernel32
    return bool(kernel.GetConsoleMode(handle, ctypes.byref(mode))) and bool(kernel.SetConsoleMode(handle, mode.value | ESCAPE_CODES))


def _fill_descriptors() -> None:
    """A file that is opened later must not get the number of a stream that is closed: libraries write their warnings there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number


def _discard_buffer(stream: TextIO) -> None:
    """Let what is still in its buffer go nowhere: Python tries once more when the process ends, and complains."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


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
        for name in STOP_SIGNALS:
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
            signal.setitimer(signal.ITIMER_REAL, REPEAT_SECONDS, REPEAT_SECONDS)
        raise Stopped

    def _look(self, number: int, frame: FrameType | None) -> None:
        """Stop the work again, unless it is being cleaned up after the first time: then the interrupt is being handled."""
        error = sys.exception()
        while error is not None:
            if isinstance(error, KeyboardInterrupt):
                return
            error = error.__context__
        raise Stopped

"""Standard output and error of the command line: closed, full, or read by nobody, they never end the work.

Progress and messages that cannot be printed are dropped. Results that cannot be printed are remembered, for the exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# ENABLE_PROCESSED_OUTPUT and ENABLE_VIRTUAL_TERMINAL_PROCESSING of SetConsoleMode.
ESCAPE_CODES = 0x1 | 0x4


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
            _turn_away(self._stream)
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


def _turn_away(stream: TextIO) -> None:
    """Let what is still in its buffer go nowhere: Python tries once more when the process ends, and complains."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

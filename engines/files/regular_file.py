"""Files that others name: regular ones, their size checked before a byte is read. A FIFO waits for ever, and a device never ends."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from ..errors import MeshwrightError

KINDS = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISSOCK, "a socket"),
         (stat.S_ISDIR, "a folder"))


def open_regular(path: Path, subject: str, kind: type[MeshwrightError], *, max_bytes: int) -> BinaryIO:
    """Open a regular file, links followed, of at most `max_bytes` bytes, for reading.

    subject : what messages call it, such as "the LoRA style.safetensors". Raises `kind` for anything else, and what cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        _check(os.stat(path), subject, kind, max_bytes)  # before it is opened: opening a device may already do something
        handle = os.open(path, flags)
        try:
            _check(os.fstat(handle), subject, kind, max_bytes)  # another file may have taken its place since
        except BaseException:
            os.close(handle)
            raise
        return os.fdopen(handle, "rb")
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        raise kind(f"{subject} cannot be read", received=getattr(error, "strerror", None) or str(error), expected="a file") from error


def read_regular(path: Path, subject: str, kind: type[MeshwrightError], *, max_bytes: int) -> bytes:
    """The bytes of a file as `open_regular` opens it, never more than `max_bytes`: what says that it is empty may still be endless."""
    with open_regular(path, subject, kind, max_bytes=max_bytes) as stream:
        try:
            data = stream.read(max_bytes + 1)
        except OSError as error:
            raise kind(f"{subject} cannot be read", received=error.strerror or str(error), expected="a file") from error
    if len(data) > max_bytes:
        raise _too_large(subject, kind, f"more than {max_bytes} bytes", max_bytes)
    return data


def _check(found: os.stat_result, subject: str, kind: type[MeshwrightError], max_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = next((name for test, name in KINDS if test(found.st_mode)), "something else")
        raise kind(f"{subject} cannot be read", received=what, expected="a regular file")
    if found.st_size > max_bytes:
        raise _too_large(subject, kind, f"{found.st_size} bytes", max_bytes)


def _too_large(subject: str, kind: type[MeshwrightError], received: str, max_bytes: int) -> MeshwrightError:
    return kind(f"{subject} is too large", received=received, expected=f"at most {max_bytes} bytes")

"""A lock between processes, held on an open file: the system lets go of it when its holder ends, however it ends.

On POSIX systems a child that inherits the open file holds the lock too, until both have ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Between two tries. A build takes seconds to minutes.
INTERVAL = 0.2


@contextmanager
def locked(path: Path, on_wait: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold the lock of the file `path`, which stays where it is afterwards. Gives the open file's descriptor, for children to inherit.

    on_wait : called once, with who holds the lock, if it is taken; meanwhile : called again and again until it is free, what it
    raises ends the waiting. Raises OSError if the file cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _try(handle):
            on_wait(_holder(path))
            while not _try(handle):
                meanwhile()
                time.sleep(INTERVAL)
        with suppress(OSError):  # the name is for people; a full disk has no room for it
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}".encode(), 0) if hasattr(os, "pwrite") else None
        yield handle
    finally:
        os.close(handle)  # lets go of the lock


def _try(handle: int) -> bool:
    """Whether the lock is ours now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 0, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace") or "another process"
    return "another process"

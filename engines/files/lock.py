"""A lock between processes, held on an open file: the system lets go of it when its holder ends, however it ends.

On POSIX systems a child that inherits the open file holds the lock too, until both have ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

# Between two tries. A build takes seconds to minutes.
INTERVAL = 0.2
# To wait for others that rename files in a folder, in seconds.
MAX_RENAME_SECONDS, SHORT_INTERVAL = 30.0, 0.01
# On Windows nobody else can read a byte that is locked: one far behind what stands in the file.
LOCKED_BYTE = 1 << 30


@contextmanager
def locked(path: Path, on_wait: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None,
           translated: Callable[[], AbstractContextManager[None]] = nullcontext) -> Iterator[int]:
    """Hold the lock of the file `path`, which stays where it is afterwards. Gives the open file's descriptor, for children to inherit.

    on_wait : called once, with who holds the lock, if it is taken; meanwhile : called again and again until it is free, what it
    raises ends the waiting. translated : a context for what the system does, to make another error of an OSError; what the caller's
    own functions raise is passed on as it is. Raises OSError if the file cannot be opened or locked.
    """
    with translated():
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _tried(handle, translated):
            on_wait(_holder(path))
            while not _tried(handle, translated):
                meanwhile()
                time.sleep(INTERVAL)
        with suppress(OSError):  # the name is for people; a full disk has no room for it
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, f"process {os.getpid()}".encode())
        yield handle
    finally:
        os.close(handle)  # lets go of the lock


@contextmanager
def alone_in(folders: Iterable[Path]) -> Iterator[None]:
    """Only one process at a time renames files in these folders; no file is made for that.

    Waits for others for at most `MAX_RENAME_SECONDS` seconds each: whoever holds a folder that long is none of us, and a result that is
    there must not be lost to them. On Windows and on file systems that lock no folders, nobody waits.
    """
    handles: dict[tuple[int, int], int] = {}
    try:
        if sys.platform != "win32":
            for folder in folders:
                with suppress(OSError):  # such as a folder that may be written but not read
                    found = os.stat(folder)
                    if (found.st_dev, found.st_ino) not in handles:
                        handles[found.st_dev, found.st_ino] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            for _, handle in sorted(handles.items()):  # in one order for all, so that no two wait for each other
                _wait_for(handle)
        yield
    finally:
        for handle in handles.values():
            os.close(handle)


def _wait_for(handle: int) -> None:
    end = time.monotonic() + MAX_RENAME_SECONDS
    with suppress(OSError):  # no locks here
        while not try_lock(handle) and time.monotonic() < end:
            time.sleep(SHORT_INTERVAL)


def try_lock(handle: int) -> bool:
    """Whether the lock of an open file, or on POSIX of an open folder, is ours now. OSError where the file system has none."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _tried(handle: int, translated: Callable[[], AbstractContextManager[None]]) -> bool:
    with translated():
        return try_lock(handle)


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace") or "another process"
    return "another process"

"""Ends a child process with the one that started it, however that one ends.

Imports the standard library alone: a worker in an isolated interpreter runs this file by its path.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent(parent: int) -> None:
    """Linux kills this process when the thread that started it ends. Does nothing on other systems: see `end_with_input`.

    parent : id of the process that started this one, in case it has ended already
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def end_with_input() -> None:
    """This process ends when its standard input does, on every system: from now on nothing else may read it, and whoever
    started the process keeps the other end open for as long as it lives."""
    threading.Thread(target=_read_to_the_end, name="meshwright-parent", daemon=True).start()


def _read_to_the_end() -> None:
    try:
        while os.read(0, 4096):
            pass
    finally:
        os._exit(1)

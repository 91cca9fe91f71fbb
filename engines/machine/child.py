"""Starts child processes, on every system alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def start_child(command: Sequence[str], *, inherited: int | None = None, **options: Any) -> subprocess.Popen:
    """`subprocess.Popen`, without a console window that flashes up on Windows where the program has none of its own.

    inherited : an open file that the child holds too, on POSIX systems; on Windows a child inherits none
    options : as `Popen` takes them. OSError if the process does not start.
    """
    files = () if inherited is None or sys.platform == "win32" else (inherited,)
    return subprocess.Popen(command, pass_fds=files, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0), **options)

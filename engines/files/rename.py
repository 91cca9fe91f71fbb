"""Renames that take the place of what is there, on every system."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

# Seconds before each further try on Windows: together as long as a virus scanner or an indexer looks at a new file.
WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def replace(source: Path, target: Path) -> None:
    """As `os.replace`. Windows refuses that while any process has one of the two open, so it is tried again for a second and a half;
    POSIX systems rename open files at once."""
    for seconds in WAITS if sys.platform == "win32" else ():
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(seconds)
    os.replace(source, target)

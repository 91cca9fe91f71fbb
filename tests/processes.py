"""Processes that a test started, as Linux's /proc shows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

# As long as a process that was killed may be seen: of no use to anybody, but not taken apart yet.
A_MOMENT = 1.0


def children_of(pid: int) -> list[int]:
    """The ids of its child processes."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _status(folder)[1:] == [str(pid)]]


def is_alive(pid: int) -> bool:
    """False for one that has ended and that nobody has asked for its exit status yet."""
    return _status(Path(f"/proc/{pid}"))[:1] not in ([], ["Z"], ["X"])


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it became true in that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _status(folder: Path) -> list[str]:
    """Its state and its parent's id; nothing of one that is gone."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return []

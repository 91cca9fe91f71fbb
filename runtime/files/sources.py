"""Files that a run reads are never written over, by whatever name or link they are reached."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...engines.errors import OutputError

# A file that is read: its path, or the descriptor that it is open as.
Source = Path | int
ELSEWHERE = "choose another folder or name"


def check_not_read(targets: Iterable[Path], sources: Iterable[Source]) -> None:
    """OutputError if one of the files to be written, or taken away, is one of those that are read."""
    written = [(path, _identities(path)) for path in targets]
    for source in sources:
        read = _identities(source)
        by = next((path for path, identities in written if not identities.isdisjoint(read)), None)
        if by is not None:
            raise OutputError(f"{_name(source)} would be overwritten, and the mesh is made from it", received=f"the output {by}",
                              remedy=ELSEWHERE)


def _identities(source: Source) -> set[tuple[int, int] | Path]:
    """Of the file that a path leads to, and of the link that it is; of an open file. Nothing is known of what is not there."""
    looks: tuple[Callable[[Any], os.stat_result], ...] = (os.stat,) if isinstance(source, int) else (os.stat, os.lstat)
    found: set[tuple[int, int] | Path] = set() if isinstance(source, int) else {_absolute(source)}
    for look in looks:
        with suppress(OSError, ValueError):
            there = look(source)
            found |= {(there.st_dev, there.st_ino)} if there.st_ino else set()
    return found


def _absolute(path: Path) -> Path:
    """Without links in the folders above; for file systems that do not number their files."""
    return Path(os.path.realpath(path.parent)) / path.name


def _name(source: Source) -> str:
    return "the file on standard input" if isinstance(source, int) else str(source)

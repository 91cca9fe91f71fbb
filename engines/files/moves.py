"""The renames that put a set of new files in place: each can be done, undone, and taken up again by another process.

A move's new file waits in a staging folder as `N.new`; what was at its target is kept there as `N.old` until all moves are done.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rename import replace

# What a file is known by: inode, bytes and time of the last change; a folder by its inode alone.
Identity = tuple[int, ...]


@dataclass(frozen=True)
class Move:
    """One rename inside of one folder.

    staging : the staging folder, which lies in the target's folder
    name : of the target; number : of the move in its set
    new : what waits, None where the target is only taken away; old : what was at the target, None if nothing was
    """

    staging: Path
    name: str
    number: int
    new: Identity | None
    old: Identity | None

    @classmethod
    def of(cls, staging: Path, name: str, number: int) -> Move:
        """With what is there now. OSError where a folder is in the way of a file, or a file in that of a folder."""
        target, waiting = staging.parent / name, staging / f"{number}.new"
        move = cls(staging, name, number, identity(waiting), identity(target))
        if move.new is not None and move.old is not None and _is_folder(waiting) != _is_folder(target):
            raise (IsADirectoryError if _is_folder(target) else NotADirectoryError)(f"{target} is in the way")
        return move

    @classmethod
    def from_record(cls, staging: Path, record: Any) -> Move:
        """The inverse of `record`. ValueError or TypeError for anything else."""
        name, number, new, old = record
        if not isinstance(name, str) or not isinstance(number, int) or "\0" in name or name in ("", "..") or Path(name).name != name:
            raise ValueError("no move")
        return cls(staging, name, number, *(None if each is None else tuple(map(int, each)) for each in (new, old)))

    def record(self) -> list[Any]:
        """As JSON."""
        return [self.name, self.number, self.new, self.old]

    @property
    def target(self) -> Path:
        """What is replaced, or taken away."""
        return self.staging.parent / self.name

    @property
    def waiting(self) -> Path:
        """Where the new file waits."""
        return self.staging / f"{self.number}.new"

    @property
    def kept(self) -> Path:
        """Where the old file is kept."""
        return self.staging / f"{self.number}.old"

    def is_unchanged(self) -> bool:
        """Whether nobody has changed the target since, so that the move may be done, or undone, by whoever finds it."""
        there = identity(self.target)
        if there is None:
            return (self.old is None or os.path.lexists(self.kept)) and (self.new is None or os.path.lexists(self.waiting))
        return there == self.old or (self.new is not None and there == self.new)

    def do(self) -> None:
        """Put the new file in place; does nothing where that is done."""
        if self.old is not None and not os.path.lexists(self.kept) and identity(self.target) == self.old:
            self._keep()
        if self.new is not None and os.path.lexists(self.waiting):
            replace(self.waiting, self.target)

    def undo(self) -> None:
        """Put the old file back; does nothing where that is done."""
        if self.new is not None and identity(self.target) == self.new and (self.old is None or _is_folder(self.target)):
            replace(self.target, self.waiting)
        if os.path.lexists(self.kept):
            replace(self.kept, self.target)

    def _keep(self) -> None:
        """A second name for the old file, so that its target is never missing. A folder has none, nor has a file on some disks."""
        if self.new is not None and not _is_folder(self.target):
            with suppress(OSError, NotImplementedError):
                os.link(self.target, self.kept, **({"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}))
                return
        replace(self.target, self.kept)


def identity(path: Path) -> Identity | None:
    """Of a file, a folder or a link itself; None if nothing is there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_ino,) if stat.S_ISDIR(found.st_mode) else (found.st_ino, found.st_size, found.st_mtime_ns)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()

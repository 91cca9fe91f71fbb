"""Hidden folders beside their targets, in which new files wait: `.meshwright-<token>.part`, each with a lock that its writer holds.

The lock says whether the writer lives. What a dead one left may be finished or deleted by whoever takes the lock; what a live one
holds, what belongs to another user, and any other file is left alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .lock import try_lock
from .own_file import is_own
from .rename import replace

NAME = re.compile(r"\.meshwright-[0-9a-f]{16}\.part")
LOCK, RECORD = "lock", "set.json"
MAX_RECORD_BYTES = 4 << 20
# Whoever sweeps may delete a new folder before there is a lock in it, and a new parent while that is empty.
TRIES = 5


@dataclass(frozen=True)
class Staging:
    """One such folder, and the lock of it, held until `close`. handle : of the lock file."""

    path: Path
    handle: int

    @classmethod
    def create(cls, parent: Path, token: str) -> Staging:
        """A new one in `parent`, which is made too; only this user may enter. OSError if it cannot be made; nothing is left then."""
        path = cls.place(parent, token)
        for tries_left in reversed(range(TRIES)):
            try:
                path.mkdir(mode=0o700, parents=True)
                handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                break
            except FileNotFoundError:
                if not tries_left:
                    raise
            except BaseException:
                with suppress(OSError):
                    path.rmdir()
                raise
        with suppress(OSError):  # a file system without locks: nobody else will get one either, so nobody sweeps
            try_lock(handle)
        return cls(path, handle)

    @staticmethod
    def place(parent: Path, token: str) -> Path:
        """The path of the one with that token in `parent`."""
        return parent / f".meshwright-{token}.part"

    @classmethod
    def adopt(cls, path: Path) -> Staging | None:
        """What a dead process of this user left at `path`, now locked by us; None if it is anything else."""
        try:
            found = path.lstat()
            if not NAME.fullmatch(path.name) or not stat.S_ISDIR(found.st_mode) or not is_own(found):
                return None
            handle = os.open(path / LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:  # its writer has died before it made the lock, or after it deleted everything else
            with suppress(OSError):
                path.rmdir()
            return None
        except OSError:
            return None
        try:
            locked = try_lock(handle)
        except OSError:
            locked = False
        if not locked:
            os.close(handle)
            return None
        return cls(path, handle)

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace what is noted in the folder."""
        new = self.path / f"{RECORD}.new"
        new.write_text(json.dumps(record), "utf-8")
        replace(new, self.path / RECORD)

    def read_record(self) -> dict[str, Any] | None:
        """What is noted in the folder; None if nothing is, or nothing that can be read."""
        try:
            with (self.path / RECORD).open("rb") as file:
                record = json.loads(file.read(MAX_RECORD_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) else None

    def close(self, *, remove: bool = True) -> None:
        """Let go of the lock, and delete the folder unless somebody else is to finish it. Raises no OSError: what stays is swept
        by the next process that writes there."""
        if remove:
            _empty(self.path)
        with suppress(OSError):
            os.close(self.handle)
        with suppress(OSError):
            if remove and os.listdir(self.path) == [LOCK]:
                (self.path / LOCK).unlink()
                self.path.rmdir()


def leftovers(parent: Path) -> Iterator[Staging]:
    """What dead processes of this user left in `parent`, each locked by us."""
    try:
        names = sorted(name for name in os.listdir(parent) if NAME.fullmatch(name))
    except OSError:  # a folder that may be written but not read
        return
    for name in names:
        found = Staging.adopt(parent / name)
        if found is not None:
            yield found


def _empty(folder: Path) -> None:
    """Delete what is in it, as far as possible, but for the lock: without it, nobody would know the folder for ours."""
    with suppress(OSError):
        for entry in list(folder.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != LOCK:
                with suppress(OSError):
                    entry.unlink()

"""SHA-256 of files, remembered on disk by path, size, times and inode, so that what has not changed is hashed once.

What this does not see: a change by someone who can also set the time at which the file's inode changed (root, a raw disk, a
file system that keeps no such time). Who may write into this user's cache folder could do as much, and more. `fresh` reads
every byte whatever is remembered.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .own_file import read_own, update_own
from .user_folder import default_folder

NAME = "file_hashes.json"
# A file that changed less long ago may change again without its times showing it (2 s on FAT, and clocks differ on a network).
SETTLED_SECONDS = 3.0
MAX_FILES = 1024
# Raise it when models are checked otherwise: what passed before is then looked at again.
CHECK = 1


class FileHashes:
    """The hashes of some files, asked one by one; `keep` then writes what is new, once.

    fresh : believe nothing that is remembered
    """

    def __init__(self, *, fresh: bool = False) -> None:
        self._path = _place()
        self._known: Mapping[str, Any] = {} if fresh or self._path is None else read_own(self._path)
        self._new: dict[str, Any] = {}

    def of(self, path: Path) -> str:
        """Hexadecimal SHA-256 of a file. Raises OSError."""
        place, before = str(path.resolve()), _state(os.stat(path))
        known = self._known.get(place)
        if isinstance(known, dict) and isinstance(known.get("sha256"), str) and known.get("state") == before:
            return known["sha256"]
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            after = _state(os.fstat(stream.fileno()))
        if before == after and _has_settled(after):
            self._new[place] = {"state": after, "sha256": digest}
        return digest

    def has_passed(self, digest: str) -> bool:
        """Whether the models of the pack with that hash of pack.json, and so of all its files, were found to be as they should."""
        return self._known.get(f"pack {digest}") == CHECK

    def note_passed(self, digest: str) -> None:
        """They were."""
        self._new[f"pack {digest}"] = CHECK

    def keep(self) -> None:
        """Remember what was hashed, where the cache can be written."""
        if self._new and self._path is not None:
            # The newest stand last; what is beyond the limit is what was hashed longest ago.
            update_own(self._path, self._merged, wait=False)

    def _merged(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The newest last; what is beyond the limit is what was hashed longest ago."""
        older = {key: value for key, value in known.items() if key not in self._new}
        return dict(list({**older, **self._new}.items())[-MAX_FILES:])


def _place() -> Path | None:
    try:
        return default_folder().parent / NAME
    except OutputError:  # this user has no folder for such things
        return None


def _state(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def _has_settled(state: list[int]) -> bool:
    """Whether the file's times lie in the past by enough; not so where the clock was set back."""
    return time.time_ns() - max(state[1:3]) > SETTLED_SECONDS * 1e9

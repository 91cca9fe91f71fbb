"""Small JSON files that this user's processes keep for each other: believed only where nobody else can have written them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from ..errors import MeshwrightError
from .lock import locked
from .regular_file import open_regular
from .side_file import write_whole

MAX_BYTES = 16 << 20


class _Unreadable(MeshwrightError):
    """The file is missing, or not what we wrote."""


def read_own(path: Path) -> dict[str, Any]:
    """The object in the file; empty where it is missing, damaged, another user's, or open to others' writing."""
    try:
        with open_regular(path, str(path), _Unreadable, max_bytes=MAX_BYTES) as stream:
            if not _is_believed(os.fstat(stream.fileno())):
                return {}
            document = json.loads(stream.read(MAX_BYTES))
    except (_Unreadable, OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def update_own(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *, wait: bool = True) -> bool:
    """Replace the object in the file by what `change` makes of it; False where it cannot be written.

    wait : one process at a time. Else what another one writes at the same moment may be lost, but nobody waits for it.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.with_name(f".{path.name}.lock"), lambda holder: None) if wait else nullcontext():
            return write_whole(path, (json.dumps(change(read_own(path)), indent=1) + "\n").encode())
    return False


def is_own(found: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user. Always so on Windows, which keeps a profile's folders closed to other users
    and says nothing of owners and modes here."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def _is_believed(found: os.stat_result) -> bool:
    """Nobody else could have written it, but for root."""
    return not hasattr(os, "geteuid") or (is_own(found) or found.st_uid == 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

"""Which packs this user trusts: a pack's models are programs, and a backend that runs them can be crashed, hung or filled up.

Kept in `trusted_packs.json` in the user's configuration folder, by the SHA-256 of `pack.json`, which holds those of all other
files: a pack that is moved stays trusted, one that is changed does not.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from .own_file import read_own, update_own
from .user_folder import config_folder

FOLDERS = "MESHWRIGHT_TRUSTED"
NAME = "trusted_packs.json"
EXPORTED, TRUSTED_BY_NAME = "exported by this user", "trusted by this user"


def trusted(folder: Path, digest: str) -> str | None:
    """Why the pack is trusted, in words; None where it is not. digest : SHA-256 of its pack.json"""
    place = folder.resolve()
    for root in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
        if Path(root).is_absolute() and place.is_relative_to(Path(root).resolve()):
            return f"in {root}, which ${FOLDERS} names"
    file = _file()
    found = read_own(file).get(digest) if file is not None else None
    return str(found["how"]) if isinstance(found, dict) and "how" in found else None


def trust(folder: Path, digest: str, how: str) -> bool:
    """Remember that a pack is trusted; False where that cannot be written. how : EXPORTED or NAMED"""
    entry = {"how": how, "folder": str(folder.resolve()), "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    file = _file()
    return file is not None and update_own(file, lambda known: known | {digest: entry})


def distrust(digest: str) -> bool:
    """Forget it; False where it was not remembered, or that cannot be written."""
    file = _file()
    if file is None or digest not in read_own(file):
        return False
    return update_own(file, lambda known: {key: value for key, value in known.items() if key != digest})


def _file() -> Path | None:
    folder = config_folder()
    return None if folder is None else folder / NAME

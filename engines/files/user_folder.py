"""Where this user keeps what can be made again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import OutputError

VARIABLE = "MESHWRIGHT_CACHE"


def default_folder() -> Path:
    """$MESHWRIGHT_CACHE, or the folder that the platform has for such things; `engines` in it."""
    named = os.environ.get(VARIABLE)
    return (Path(named) if named else _user_cache() / "meshwright") / "engines"


def _user_cache() -> Path:
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError as error:
        raise OutputError("this user has no home folder for the engine cache", remedy=f"set {VARIABLE} to a folder") from error

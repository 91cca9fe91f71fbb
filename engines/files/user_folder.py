"""Where this user keeps files, system by system: what can be made again, and what the user has said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import OutputError

VARIABLE, CONFIG, DATA = "MESHWRIGHT_CACHE", "MESHWRIGHT_CONFIG", "MESHWRIGHT_DATA"
NAME = "meshwright"


def default_folder() -> Path:
    """$MESHWRIGHT_CACHE, or the folder that the platform has for such things; `engines` in it."""
    if named := os.environ.get(VARIABLE):
        return Path(named) / "engines"
    folder = _user_folder("LOCALAPPDATA", "XDG_CACHE_HOME", "Library/Caches", ".cache")
    if folder is None:
        raise OutputError("this user has no home folder for the engine cache", remedy=f"set {VARIABLE} to a folder")
    return folder / "engines"


def config_folder() -> Path | None:
    """$MESHWRIGHT_CONFIG, or the folder that the platform has for such things; None for a user without a home."""
    if named := os.environ.get(CONFIG):
        return Path(named)
    return _user_folder("APPDATA", "XDG_CONFIG_HOME", "Library/Application Support", ".config")


def data_folder() -> Path:
    """$MESHWRIGHT_DATA, or the folder that the platform has for what a user keeps."""
    if named := os.environ.get(DATA):
        return Path(named)
    folder = _user_folder("LOCALAPPDATA", "XDG_DATA_HOME", "Library/Application Support", ".local/share")
    if folder is None:
        raise OutputError("this user has no home folder for results", remedy=f"set {DATA} to a folder")
    return folder


def _user_folder(windows: str, xdg: str, mac: str, other: str) -> Path | None:
    """Ours in the first of these that there is: a variable of Windows, one of the XDG specification, a folder of the home."""
    for variable in (*([windows] if sys.platform == "win32" else []), xdg):
        if named := os.environ.get(variable):
            return Path(named) / NAME
    try:
        return Path.home() / (mac if sys.platform == "darwin" else other) / NAME
    except RuntimeError:
        return None

"""Finds files that a mesh file names, in its own folder and below; nothing else is ever opened."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from .text import MAX_NAME_LENGTH, decode_name

# Names of folders and files that are looked for below one folder; longer paths are no paths.
MAX_PARTS = 64


@dataclass
class NearbyFiles:
    """The files in a folder and below it, links followed only where they stay there.

    root : the folder
    """

    root: Path
    listings: dict[Path, dict[str, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = Path(os.path.abspath(self.root))

    def find(self, name: str, *besides: Path, whole: bool = False) -> Path | None:
        """The file that a name means, or None.

        Looked for in each folder of `besides`: as it stands there; else by ever shorter ends of its path down to the file's own
        name, since a path may be of another machine; else all of that again, capitals and small letters alike.

        besides : in `root`, or relative to it
        whole : the path as it stands only
        """
        named = name.strip().strip('"').replace("\\", "/")
        if not 0 < len(named) <= MAX_NAME_LENGTH or "\0" in named:
            return None
        # Without a drive, a server's slashes, or file: before the path.
        parts = [part for part in re.sub(r"^(file:)?/*([A-Za-z]:)?/*", "", named).split("/") if part not in ("", ".")]
        if not 0 < len(parts) <= MAX_PARTS:
            return None
        ends = [parts[i:] for i in range(1 if whole else len(parts))]
        for ignore_case in (False, True):
            for end in ends:
                for folder in dict.fromkeys(self.root / beside for beside in besides):
                    found = self._inside(folder, end, ignore_case)
                    if found is not None:
                        return found
        return None

    def _inside(self, folder: Path, parts: list[str], ignore_case: bool) -> Path | None:
        try:
            path = self._walk(folder, parts) if ignore_case else Path(os.path.normpath(folder.joinpath(*parts)))
            inside = path is not None and path.is_relative_to(self.root) and path.is_file() \
                and path.resolve().is_relative_to(self.root.resolve())
        except (OSError, ValueError):  # a name that is too long for any file, or that this system cannot write
            return None
        return path if inside else None

    def _walk(self, folder: Path, parts: list[str]) -> Path | None:
        """The path whose names are the parts', but for capitals and the way in which letters are encoded; None if there is none."""
        for part in parts:
            if part == "..":
                folder = folder.parent
                continue
            if folder not in self.listings:
                if not folder.resolve().is_relative_to(self.root.resolve()):
                    return None
                self.listings[folder] = _listing(folder)
            matches = self.listings[folder].get(_folded(part), [])
            if not matches:
                return None
            folder = folder / (part if part in matches else matches[0])
        return folder


def _listing(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by what they are when capitals do not count."""
    found: dict[str, list[str]] = {}
    try:
        for name in sorted(os.listdir(folder)):
            found.setdefault(_folded(name), []).append(name)
    except OSError:
        pass
    return found


def _folded(name: str) -> str:
    """Letters composed and small; the bytes of a name in Latin-1 as such."""
    return unicodedata.normalize("NFC", decode_name(os.fsencode(name))).casefold()

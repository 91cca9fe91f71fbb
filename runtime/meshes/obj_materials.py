"""The material files and pictures that an OBJ file names, found, read once, and kept by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ..pictures import picture_of
from .nearby_files import NearbyFiles
from .obj_text import LONGEST_NAME, listed, without_comment
from .read_mtl import MtlStatements, ObjMaterial, material_of, read_statements
from .surfaces import MOST_TILE

MOST_MTL_BYTES = 64 << 20
MOST_PICTURE_BYTES = 1 << 30
# Lines, and names in one line; a file that names more is broken.
MOST_LIBRARIES = 1000
CANNOT = "files that cannot be read"
# Formats of Pillow that it hands to other programs.
_RUNS_PROGRAMS = frozenset({"EPS"})


class ObjMaterials:
    """Materials by the names that an OBJ file uses. Nothing outside of `folder`, where the file is, is opened.

    sources : the files that were read
    """

    def __init__(self, folder: Path, libraries: list[str]) -> None:
        self.sources: list[Path] = []
        self._told: dict[str, dict[str, None]] = {}
        self._files = NearbyFiles(folder)
        self._folder = self._files.root
        self._pictures: dict[Path, np.ndarray | None] = {}
        self._statements: dict[str, tuple[MtlStatements, Path]] = {}
        self._why = "no material file has them" if libraries else "the file names no material file"
        for line in libraries[:MOST_LIBRARIES]:
            for path in self._libraries(line):
                self._read(path)
        # By what their names are without a comment, of those that differ in more than that.
        short = [without_comment(name) for name in self._statements]
        count = Counter(short)
        self._commented = {name: each for name, each in zip(short, self._statements.values(), strict=True) if count[name] == 1}

    @property
    def notices(self) -> list[str]:
        """What could not be honoured so far, one of a kind."""
        return [f"{what}: {listed(list(which))}" for what, which in self._told.items()]

    def named(self, name: str) -> ObjMaterial:
        """The material of a `usemtl`, a comment behind it or not; white, with a notice, where there is none."""
        found = self._statements.get(name) or self._statements.get(without_comment(name)) or self._commented.get(without_comment(name))
        if found is None:
            if name:
                self._tell(f"materials that are not there are white ({self._why})", name)
            return ObjMaterial()
        statements, path = found
        return material_of(statements, lambda picture: self._picture(picture, statements.name, path.parent), self._tell)

    def _tell(self, what: str, which: str) -> None:
        self._told.setdefault(what, {})[which] = None

    def _libraries(self, line: str) -> list[Path]:
        """The material files of a `mtllib`: one whose name may hold spaces, else several."""
        for text in dict.fromkeys((line, without_comment(line))):
            path = self._files.find(text, self._folder, whole=True)
            if path is not None:
                return [path]
        found = []
        # Names end with .mtl, or else at a space.
        pattern = r'"[^"]+"|\S.*?\.mtl(?=\s|$)|\S+' if len(line) <= LONGEST_NAME else r"\S+"
        for name in list(dict.fromkeys(re.findall(pattern, without_comment(line), re.IGNORECASE)))[:MOST_LIBRARIES]:
            path = self._files.find(name, self._folder)
            several = [path] if path is not None else [self._files.find(word, self._folder) for word in name.split()[1:]]
            if not any(several):
                self._tell("material files that are not there", name)
            found += [each for each in several if each is not None]
        return found

    def _read(self, path: Path) -> None:
        data = None if path in self.sources else self._bytes(path, MOST_MTL_BYTES)
        if data is not None:
            self.sources.append(path)
            self._statements |= {name: (each, path) for name, each in read_statements(data).items()}

    def _picture(self, name: str, material: str, beside: Path) -> np.ndarray | None:
        """(h, w, 3) uint8, the longer side at most `MOST_TILE`: beside the material file, else beside the OBJ file."""
        for text in dict.fromkeys((name, without_comment(name))):  # a name may hold a # behind a space
            path = self._files.find(text, beside, self._folder)
            if path is not None:
                break
        else:
            self._tell("pictures that are not there, or not in the mesh's folder", f"{name} (material {material})")
            return None
        if path not in self._pictures:
            data = self._bytes(path, MOST_PICTURE_BYTES)
            self._pictures[path] = None if data is None else _pixels(data, path, self._tell)
            if self._pictures[path] is not None:
                self.sources.append(path)
        return self._pictures[path]

    def _bytes(self, path: Path, most: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            self._tell(CANNOT, f"{path.name} ({error.strerror})")
            return None
        if len(data) > most:
            self._tell(CANNOT, f"{path.name} (more than {most >> 20} MiB)")
            return None
        return data


def _pixels(data: bytes, path: Path, notice: Callable[[str, str], None]) -> np.ndarray | None:
    """(h, w, 3) uint8 of a picture of any format that Pillow reads; alpha is left out. None, with a notice, if it cannot be read."""
    from PIL import Image

    Image.init()
    try:
        picture = picture_of(data, path.name, tuple(sorted(set(Image.OPEN) - _RUNS_PROGRAMS)))
    except (InputError, MemoryError) as error:
        notice(CANNOT, f"{path.name} ({getattr(error, 'received', None) or error})")
        return None
    for each in picture.notices:
        notice(each, path.name)
    image = Image.fromarray(np.ascontiguousarray(picture.pixels[..., :3]))
    if max(image.size) > MOST_TILE:
        scale = MOST_TILE / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image)

"""The material files and pictures that an OBJ file names, found, read once, and kept by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ..pictures import picture_of
from .nearby_files import NearbyFiles
from .obj_text import listed, without_comment
from .read_mtl import MtlStatements, ObjMaterial, material_of, read_statements
from .surfaces import MOST_TILE

MOST_MTL_BYTES = 64 << 20
MOST_PICTURE_BYTES = 1 << 30
# Formats of Pillow that it hands to other programs.
_RUNS_PROGRAMS = frozenset({"EPS"})


class ObjMaterials:
    """Materials by the names that an OBJ file uses. Nothing outside of `folder`, where the file is, is opened.

    notices : what could not be honoured; sources : the files that were read
    """

    def __init__(self, folder: Path, libraries: list[str]) -> None:
        self.notices: list[str] = []
        self.sources: list[Path] = []
        self._files, self._folder = NearbyFiles(folder), folder
        self._pictures: dict[Path, np.ndarray | None] = {}
        self._statements: dict[str, tuple[MtlStatements, Path]] = {}
        self._missing: list[str] = []
        self._unnamed = not libraries
        for line in libraries:
            for path in self._libraries(line):
                self._read(path)

    def named(self, name: str) -> ObjMaterial:
        """The material of a `usemtl`, a comment behind it or not; white, with a notice, where there is none."""
        found = self._statements.get(name) or self._statements.get(without_comment(name))
        if found is None:
            alike = [each for known, each in self._statements.items() if without_comment(known) == without_comment(name)]
            found = alike[0] if len(alike) == 1 else None
        if found is None:
            if name:
                self._missing.append(name)
            return ObjMaterial()
        statements, path = found
        return material_of(statements, lambda picture: self._picture(picture, statements.name, path.parent), self._tell)

    def tell_missing(self) -> None:
        """One notice of all names that were asked for in vain."""
        if self._missing:
            where = "the file names no material file" if self._unnamed else "no material file that was read has them"
            self._tell(f"materials that are not there are white: {listed(self._missing)} ({where})")

    def _tell(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)

    def _libraries(self, line: str) -> list[Path]:
        """The material files of a `mtllib`: one whose name may hold spaces, else several."""
        for text in dict.fromkeys((line, without_comment(line))):
            path = self._files.find(text, self._folder, whole=True)
            if path is not None:
                return [path]
        found = []
        # Names end with .mtl, or else at a space.
        for name in re.findall(r'"[^"]+"|\S.*?\.mtl(?=\s|$)|\S+', without_comment(line), re.IGNORECASE):
            path = self._files.find(name, self._folder)
            several = [path] if path is not None else [self._files.find(word, self._folder) for word in name.split()[1:]]
            if not any(several):
                self._tell(f"the material file {listed([name])} is not there")
            found += [each for each in several if each is not None]
        return found

    def _read(self, path: Path) -> None:
        data = self._bytes(path, MOST_MTL_BYTES, "material file")
        if data is not None and path not in self.sources:
            self.sources.append(path)
            self._statements |= {name: (each, path) for name, each in read_statements(data).items()}

    def _picture(self, name: str, material: str, beside: Path) -> np.ndarray | None:
        """(h, w, 3) uint8, the longer side at most `MOST_TILE`: beside the material file, else beside the OBJ file."""
        for text in dict.fromkeys((name, without_comment(name))):  # a name may hold a # behind a space
            path = self._files.find(text, beside, self._folder)
            if path is not None:
                break
        else:
            self._tell(f"the picture {listed([name])} of material {listed([material])} is not there, or not in the mesh's folder")
            return None
        if path not in self._pictures:
            data = self._bytes(path, MOST_PICTURE_BYTES, "picture")
            self._pictures[path] = None if data is None else _pixels(data, path, self._tell)
            if self._pictures[path] is not None:
                self.sources.append(path)
        return self._pictures[path]

    def _bytes(self, path: Path, most: int, kind: str) -> bytes | None:
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            self._tell(f"the {kind} {path.name} cannot be read: {error.strerror}")
            return None
        if len(data) > most:
            self._tell(f"the {kind} {path.name} is left out: it has more than {most >> 20} MiB")
            return None
        return data


def _pixels(data: bytes, path: Path, notice: Callable[[str], None]) -> np.ndarray | None:
    """(h, w, 3) uint8 of a picture of any format that Pillow reads; alpha is left out. None, with a notice, if it cannot be read."""
    from PIL import Image

    Image.init()
    try:
        picture = picture_of(data, path.name, tuple(sorted(set(Image.OPEN) - _RUNS_PROGRAMS)))
    except (InputError, MemoryError) as error:
        notice(f"the picture {path.name} cannot be read: {getattr(error, 'received', None) or error}")
        return None
    for each in picture.notices:
        notice(f"{path.name}: {each}")
    image = Image.fromarray(np.ascontiguousarray(picture.pixels[..., :3]))
    if max(image.size) > MOST_TILE:
        scale = MOST_TILE / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image)

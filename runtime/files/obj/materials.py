"""The material files and pictures that an OBJ file names, found, read once, and kept by name."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....engines.errors import InputError
from ...geometry.shading import to_uint8
from ...images.picture_decoding import grey_of_16_bits
from ...images.pictures import picture_of
from ..scene.notices import Notices, quoted
from ..scene.surfaces import MAX_TILE, downscaled
from .mtl import MtlStatements, ObjMaterial, material_of, read_statements
from .nearby_files import NearbyFiles
from .text import MAX_NAME_LENGTH, strip_comment

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_MTL_BYTES = 64 << 20
MAX_PICTURE_BYTES = 1 << 30
# Lines, and names in one line; a file that names more is broken.
MAX_LIBRARIES = 1000
# Of the formats that `picture_of` does not read: 8192 by 8192.
MAX_PIXELS = 1 << 26
# Those that `picture_of` reads, or refuses for a reason; and one that Pillow hands to another program.
_EXCLUDED_FORMATS = frozenset({"PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "EPS"})


class ObjMaterials:
    """Materials by the names that an OBJ file uses. Nothing outside of `folder`, where the file is, is opened.

    sources : the files that were read
    """

    def __init__(self, folder: Path, libraries: list[str], notices: Notices) -> None:
        self.sources: list[Path] = []
        self._notices = notices
        self._files = NearbyFiles(folder)
        self._folder = self._files.root
        self._pictures: dict[Path, np.ndarray | None] = {}
        self._statements: dict[str, tuple[MtlStatements, Path]] = {}
        self._why = "since no material file has them" if libraries else "since the file names no material file"
        for line in libraries[:MAX_LIBRARIES]:
            for path in self._libraries(line):
                self._read(path)
        # By what their names are without a comment, of those that differ in more than that.
        short = [strip_comment(name) for name in self._statements]
        count = Counter(short)
        self._commented = {name: each for name, each in zip(short, self._statements.values(), strict=True) if count[name] == 1}

    def named(self, name: str) -> ObjMaterial:
        """The material of a `usemtl`, a comment behind it or not; white, with a notice, where there is none."""
        found = self._statements.get(name) or self._statements.get(strip_comment(name)) or self._commented.get(strip_comment(name))
        if found is None:
            if name:
                self._notices.add(f"missing materials are white, {self._why}", quoted(name))
            return ObjMaterial()
        statements, path = found
        return material_of(statements, lambda picture: self._picture(picture, statements.name, path.parent), self._notices)

    def _libraries(self, line: str) -> list[Path]:
        """The material files of a `mtllib`: one whose name may hold spaces, else several."""
        for text in dict.fromkeys((line, strip_comment(line))):
            path = self._files.find(text, self._folder, whole=True)
            if path is not None:
                return [path]
        found = []
        # Names end with .mtl, or else at a space.
        pattern = r'"[^"]+"|\S.*?\.mtl(?=\s|$)|\S+' if len(line) <= MAX_NAME_LENGTH else r"\S+"
        for name in list(dict.fromkeys(re.findall(pattern, strip_comment(line), re.IGNORECASE)))[:MAX_LIBRARIES]:
            path = self._files.find(name, self._folder)
            several = [path] if path is not None else [self._files.find(word, self._folder) for word in name.split()[1:]]
            if not any(several):
                self._notices.add("material files are missing", quoted(name))
            found += [each for each in several if each is not None]
        return found

    def _read(self, path: Path) -> None:
        data = None if path in self.sources else self._bytes(path, MAX_MTL_BYTES)
        if data is not None:
            self.sources.append(path)
            self._statements |= {name: (each, path) for name, each in read_statements(data).items()}

    def _picture(self, name: str, material: str, beside: Path) -> np.ndarray | None:
        """(h, w, 3) uint8, the longer side at most `MAX_TILE`: beside the material file, else beside the OBJ file."""
        for text in dict.fromkeys((name, strip_comment(name))):  # a name may hold a # behind a space
            path = self._files.find(text, beside, self._folder)
            if path is not None:
                break
        else:
            self._notices.add("pictures are missing, or not in the mesh's folder", f"{quoted(name)} of material {quoted(material)}")
            return None
        if path not in self._pictures:
            self._pictures[path] = self._pixels(path)
        return self._pictures[path]

    def _pixels(self, path: Path) -> np.ndarray | None:
        """None, with a notice, for what is no picture."""
        data = self._bytes(path, MAX_PICTURE_BYTES)
        if data is None:
            return None
        try:
            pixels, notices = map_pixels(data, path.name)
        except (InputError, MemoryError) as error:
            self._notices.add("pictures cannot be read", f"{quoted(path.name)}: {getattr(error, 'received', None) or error}")
            return None
        for each in notices:
            self._notices.add(each, quoted(path.name))
        self.sources.append(path)
        return downscaled(pixels, MAX_TILE)

    def _bytes(self, path: Path, max_bytes: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            self._notices.add("files cannot be read", f"{quoted(path.name)}: {error.strerror}")
            return None
        if len(data) > max_bytes:
            self._notices.add("files cannot be read", f"{quoted(path.name)}: more than {max_bytes >> 20} MiB")
            return None
        return data


def map_pixels(data: bytes, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(h, w, 3) uint8 of a picture file, row 0 at the top, and what should be known of how it was read. Alpha is left out.

    name : for messages
    Errors: InputError for what is no picture, is broken, or has too many pixels.
    """
    try:
        picture = picture_of(data, name)
    except InputError:
        pixels = _other_format(data, name)
        if pixels is None:
            raise
        return pixels, ()
    return np.ascontiguousarray(picture.pixels[..., :3]), picture.notices


def _other_format(data: bytes, name: str) -> np.ndarray | None:
    """None if Pillow does not know the format. `Image.open` is not used: it judges sizes by a setting of the whole process."""
    from PIL import Image

    Image.init()
    for kind in sorted(set(Image.ID) - _EXCLUDED_FORMATS):
        opener, accepts = Image.OPEN[kind]
        try:
            if accepts is not None and accepts(data[:16]) is not True:
                continue
            with opener(io.BytesIO(data), "") as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"the picture {name} is too large", received=f"{image.width} by {image.height} pixels",
                                     expected=f"at most {MAX_PIXELS:,} pixels")
                image.load()
                return _eight_bits(image)
        except InputError:
            raise
        except Exception:  # what Pillow raises for what is another format, or broken, is not limited to one class
            continue
    return None


def _eight_bits(image: Image) -> np.ndarray:
    """(h, w, 3) uint8; of more bits the upper eight, and floats of 0 to 1."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):
        image = grey_of_16_bits(image)
    elif image.mode == "F":
        image = fromarray(to_uint8(np.nan_to_num(np.asarray(image))))
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))[..., :3].copy()

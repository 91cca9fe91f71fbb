"""Reads Wavefront OBJ files, and the materials beside them, as parts of triangles."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ..pictures import read_picture
from ..shading import to_linear
from .gltf import GENERATOR
from .surfaces import WHITE, Material, Part, Scene, check_corners


@dataclass
class _Read:
    """What the lines of a file have given so far. faces : by material, corners of (position, uv, normal), -1 for none."""

    positions: list[list[float]] = field(default_factory=list)
    uvs: list[list[float]] = field(default_factory=list)
    normals: list[list[float]] = field(default_factory=list)
    faces: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)


def read_obj(data: bytes, folder: Path) -> Scene:
    """The parts in the file's axes.

    folder : where the materials are; nothing outside of it is opened, and what is not there is left out
    """
    text = data.decode("utf-8", "replace").replace("\\\n", " ").replace("\\\r\n", " ")
    read = _lines(text)
    if not read.faces:
        raise ValueError("it has no faces")
    seen: dict[Path, np.ndarray] = {}
    materials: dict[str, Material] = {}
    for library in dict.fromkeys(read.libraries):
        materials |= _materials(library, folder, seen)
    positions = np.array([row[:3] for row in read.positions], np.float32)
    tints = _tints(read.positions)
    uvs, normals = np.array(read.uvs, np.float32).reshape(-1, 2), np.array(read.normals, np.float32).reshape(-1, 3)
    parts = [_part(np.array(corners, np.int64), positions, tints, uvs, normals, materials.get(name, WHITE))
             for name, corners in read.faces.items()]
    libraries = [path for library in dict.fromkeys(read.libraries) if (path := _inside(library, folder)) is not None]
    return Scene(parts, GENERATOR if text.startswith(f"# {GENERATOR}\n") else "", sources=(*libraries, *seen))


def _lines(text: str) -> _Read:
    read, material, corners = _Read(), "", 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        kind, values = words[0], words[1:]
        try:
            if kind == "v":
                read.positions.append(_numbers(values, 3, 8))
            elif kind == "vt":
                u, v = _numbers([*values, "0"], 2, 4)[:2]
                read.uvs.append([u, 1 - v])  # the file's origin is at the bottom left
            elif kind == "vn":
                read.normals.append(_numbers(values, 3, 3))
            elif kind == "usemtl":
                material = _name(line)
            elif kind == "mtllib":
                read.libraries.append(_name(line))
            elif kind == "f":
                added = _face(values, read)
                read.faces.setdefault(material, []).extend(added)
                corners += len(added)
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {number}: {error}") from error
        check_corners(corners)
    return read


def _name(line: str) -> str:
    """What follows the first word of a line, spaces and all; "" if nothing does."""
    return "".join(line.split(maxsplit=1)[1:]).strip()


def _numbers(words: list[str], least: int, most: int) -> list[float]:
    if len(words) < least:
        raise ValueError(f"{len(words)} numbers where {least} are needed")
    return [float(word) for word in words[:most]]


def _face(words: list[str], read: _Read) -> list[tuple[int, int, int]]:
    """The corners of the triangles that a polygon's fan consists of."""
    if len(words) < 3:
        raise ValueError("a face of fewer than three corners")
    counts = len(read.positions), len(read.uvs), len(read.normals)
    corners = [_corner(word, counts) for word in words]
    return [corner for i in range(1, len(corners) - 1) for corner in (corners[0], corners[i], corners[i + 1])]


def _corner(word: str, counts: tuple[int, int, int]) -> tuple[int, int, int]:
    """Zero-based; numbers count from 1, or from the end if they are negative."""
    given = (word.split("/") + ["", ""])[:3]
    found = []
    for text, count in zip(given, counts, strict=True):
        index = (int(text) - 1 if int(text) > 0 else count + int(text)) if text else -1
        if text and (int(text) == 0 or not 0 <= index < count):
            raise IndexError(f"a face asks for number {text} of {count}")
        found.append(index)
    if found[0] < 0:
        raise ValueError("a corner without a position")
    return found[0], found[1], found[2]


def _tints(positions: list[list[float]]) -> np.ndarray | None:
    """(n, 3) float32, linear: colours that follow the positions, as many tools write them; None where some have none."""
    if any(len(row) not in (6, 7) for row in positions):
        return None
    tints = np.array([row[3:6] for row in positions], np.float32)
    return to_linear((tints / 255 if tints.max(initial=0) > 1 else tints).clip(0, 1))


def _part(corners: np.ndarray, positions: np.ndarray, tints: np.ndarray | None, uvs: np.ndarray, normals: np.ndarray,
          material: Material) -> Part:
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    return Part(positions[corners[:, 0]], faces, material,
                normals[corners[:, 2]] if (corners[:, 2] >= 0).all() else None,
                uvs[corners[:, 1]] if (corners[:, 1] >= 0).all() else None,
                None if tints is None else tints[corners[:, 0]])


def _materials(library: str, folder: Path, seen: dict[Path, np.ndarray]) -> dict[str, Material]:
    """The materials of an MTL file by name; none if it is not in the folder. seen : the pictures that have been read"""
    path = _inside(library, folder)
    if path is None:
        return {}
    colors: dict[str, np.ndarray] = {}
    pictures: dict[str, str] = {}
    name = ""
    for line in path.read_text("utf-8", "replace").splitlines():
        words = line.split(maxsplit=1)
        if len(words) == 2:
            if words[0] == "newmtl":
                name = words[1].strip()
                colors[name] = np.ones(3, np.float32)
            elif words[0] == "Kd" and words[1].split()[0] not in ("spectral", "xyz"):
                colors[name] = np.array([float(word) for word in words[1].split()[:3]], np.float32).clip(0, 1)
            elif words[0] == "map_Kd":
                pictures[name] = words[1].strip()
    return {name: Material(_linear(color), _picture(pictures.get(name), folder, seen)) for name, color in colors.items()}


def _linear(color: np.ndarray) -> np.ndarray:
    """(3,) float32; a single number stands for a grey."""
    if not all(map(math.isfinite, color.tolist())):
        raise ValueError("a colour that is not finite")
    return to_linear(np.broadcast_to(color, 3) if color.size == 1 else color[:3])


def _picture(statement: str | None, folder: Path, seen: dict[Path, np.ndarray]) -> np.ndarray | None:
    """(h, w, 3) uint8 of a map's picture; None where there is no such file in the folder. Its options come before its name."""
    if statement is None:
        return None
    path = _inside(statement, folder) or _inside(statement.split()[-1], folder)
    if path is not None and path not in seen:
        seen[path] = np.ascontiguousarray(read_picture(path).pixels[..., :3])
    return seen.get(path)


def _inside(name: str, folder: Path) -> Path | None:
    """The file of that name if it is in the folder or below it, links followed; else None."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or "\0" in name or ":" in name:
        return None
    path = folder / parts
    try:
        return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None
    except OSError:  # a name that is too long for any file
        return None

"""Reads Wavefront OBJ files, and the materials beside them, as parts of triangles."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...geometry.shading import to_linear
from ..scene import GENERATOR
from ..scene.notices import Notices, quoted
from ..scene.surfaces import Part, Scene
from .lines import ObjLines, read_lines
from .materials import ObjMaterials
from .mtl import ObjMaterial
from .numbers import INVALID_INDEX
from .polygons import Triangles, triangulate
from .text import plain_text, with_count

# Of the work, what reading the lines is.
READING = 0.8
# Seconds between two calls of `progress`, at least.
OFTEN = 0.05
# A colour behind a position that is larger cannot be one of 0 to 1.
MAX_BRIGHT = 16
# Of a mesh's size, the coarsest step of its positions that does not show.
FINE = 1 / 4096


def read_obj(data: bytes, folder: Path, progress: Callable[[float], None] = lambda done: None) -> Scene:
    """The parts in the file's axes, after the Wavefront Advanced Visualizer's file format 3.0: polygons with their materials.

    Smoothing groups count for nothing: faces without normals are flat. Colours behind positions are read (0 to 1, or 0 to 255).
    A picture is looked up at `uv * s + o` of the options -s and -o of its material, v upwards.
    What could not be honoured is in the scene's notices.

    folder : where the file is; nothing outside of it is opened
    progress : called a few times a second with the share that is done, 0 to 1; what it raises ends the reading
    Errors: ValueError for a file without faces or with a line that cannot be meant; InputError for one that is too large.
    """
    progress = _now_and_then(progress)
    text = plain_text(data)
    notices = Notices()
    lines = read_lines(text, notices, lambda done: progress(READING * done))
    corners = _checked(lines, notices)
    made = triangulate(lines.positions, corners[:, 0], lines.counts, lambda done: progress(READING + (1 - READING) * done))
    if made.wrong:
        notices.add(with_count("polygons that intersect themselves or have too many corners are triangulated approximately",
                            len(made.wrong), int(lines.lines[made.wrong[0]])))
    materials = ObjMaterials(folder, lines.libraries, notices)
    parts = _parts(lines, corners, made, materials, notices, lambda: progress(1.0))
    generator = GENERATOR if text.startswith(f"# {GENERATOR}\n".encode()) else ""
    return Scene(parts, generator, notices.messages(), tuple(materials.sources))


def _now_and_then(progress: Callable[[float], None]) -> Callable[[float], None]:
    """`progress`, called at most so often that it costs nothing."""
    last = 0.0

    def report(done: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= OFTEN:
            last = now
            progress(done)

    return report


def _checked(lines: ObjLines, notices: Notices) -> np.ndarray:
    """(k, 3) int32, the corners' rows of positions, uvs and normals, -1 for none. ValueError for a position that is not there."""
    corners = lines.corners
    rows, wanted = corners - 1, corners != 0
    there = (corners >= 1) & (corners <= [len(lines.positions), len(lines.uvs), len(lines.normals)])
    missing = np.flatnonzero(~there[:, 0])
    if len(missing):
        asked = int(corners[missing[0], 0])
        number = 0 if asked == INVALID_INDEX else asked
        received = f"a face refers to position {number} of {len(lines.positions)}" if asked else "a corner without a position"
        raise ValueError(f"line {_line_of(missing[0], lines)}: {received}")
    for column, what in ((1, "texture coordinates"), (2, "normals")):
        lost = np.flatnonzero(wanted[:, column] & ~there[:, column])
        if len(lost):
            notices.add(with_count(f"face corners refer to missing {what}", len(lost), _line_of(lost[0], lines)))
    if len(lines.uvs):
        broken = there[:, 1] & ~np.isfinite(lines.uvs).all(axis=1)[np.where(there[:, 1], rows[:, 1], 0)]
        if broken.any():
            notices.add(with_count("face corners have texture coordinates that are not numbers", int(broken.sum()),
                                _line_of(int(broken.argmax()), lines)))
            there[broken, 1] = False
    return np.where(there, rows, -1)


def _line_of(corner: int, lines: ObjLines) -> int:
    return int(lines.lines[np.searchsorted(np.cumsum(lines.counts), corner, "right")])


def _as_fine_as_needed(positions: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The positions (n, 3) float64 of a mesh with such corners as float32, if that does not spoil its shape.

    Surveyed places have numbers of millions of metres, of which float32 keeps no centimetres.
    """
    used = np.zeros(len(positions), bool)
    used[corners[:, 0]] = True
    size, far = float(np.ptp(positions[used], axis=0).max()), float(np.abs(positions[used]).max())
    return positions if size and far <= 1e30 and np.spacing(np.float32(far)) > FINE * size else positions.astype(np.float32)


def _parts(lines: ObjLines, corners: np.ndarray, made: Triangles, materials: ObjMaterials, notices: Notices,
           tick: Callable[[], None]) -> list[Part]:
    """One for each material, or two where some of its faces have texture coordinates and some have not."""
    vertex_colors = _vertex_colors_of(lines.vertex_colors)
    with_uvs = (corners[made.corners, 1] >= 0).all(axis=1)
    key = 2 * lines.materials[made.polygons] + with_uvs
    order = np.argsort(key, kind="stable")
    keys, begins = np.unique(key[order], return_index=True)
    looks: dict[int, ObjMaterial] = {}
    positions = _as_fine_as_needed(lines.positions, corners)
    parts = []
    for each, triangles in zip(keys.tolist(), np.split(order, begins[1:]), strict=True):
        number, has_uvs = divmod(each, 2)
        if number not in looks:
            looks[number] = materials.named(lines.names[number])
        if not has_uvs and looks[number].material.picture is not None:
            notices.add("faces without texture coordinates show nothing of their material's picture", quoted(lines.names[number]))
        tick()
        parts.append(_part(lines, positions, corners[made.corners[triangles].ravel()], vertex_colors, bool(has_uvs), looks[number]))
    return parts


def _part(lines: ObjLines, positions: np.ndarray, corners: np.ndarray, vertex_colors: np.ndarray | None, has_uvs: bool,
          look: ObjMaterial) -> Part:
    """corners : (3 m, 3), of m triangles"""
    normals = uvs = None
    if (corners[:, 2] >= 0).any():  # a normal of zeros is none
        normals = np.where(corners[:, 2:] >= 0, lines.normals[corners[:, 2]], np.float32(0))
    if has_uvs:
        uvs = (lines.uvs[corners[:, 1]] * np.array(look.scale, np.float32) + np.array(look.offset, np.float32))
        uvs[:, 1] = 1 - uvs[:, 1]
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    return Part(positions[corners[:, 0]], faces, look.material, normals, uvs,
                None if vertex_colors is None else vertex_colors[corners[:, 0]])


def _vertex_colors_of(given: np.ndarray | None) -> np.ndarray | None:
    """(n, 3) float32, linear: the colours behind the positions; white where there is none."""
    if given is None:
        return None
    brightest = np.nanmax(given, initial=0)
    whole = brightest > 1 and not (np.nan_to_num(given) % 1).any()
    return to_linear(np.nan_to_num(given / 255 if whole or brightest > MAX_BRIGHT else given, nan=1.0).clip(0, 1))

"""Parts of a mesh file, each with a material of its own, become one `Mesh` with one texture or with vertex colours.

The texture has a tile for each material's picture, laid on as its coordinates and wrap modes say. A picture that repeats, is mirrored
or drawn out at its border takes a tile that shows all of that, because a `Mesh` has one picture and coordinates within it. Which part
of the plane a tile shows is decided face by face, in powers of two, so that one wall whose bricks repeat often takes no pixels from
the rest of its material.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...geometry.mesh import Mesh, area_vectors, normalized
from ...geometry.shading import to_linear
from .surfaces import MAX_TEXELS, MAX_TILE, WHITE, Material, Part, downscaled, srgb_bytes, tinted

# Side in pixels of the tile of a material without a picture.
PLAIN_TILE = 4
# A picture that repeats more often than this over one face is shown as its mean colour: a repeat would have few pixels left.
MAX_REPEATS = 64
MAX_COPIES = 8  # of a pixel that is to have edges, along each side
NEARLY = 1e-6  # of a picture's side: coordinates this close to its border belong to it


def join_parts(parts: Sequence[Part]) -> Mesh:
    """One mesh, every corner of every face a vertex of its own, so that neither creases nor seams are lost.

    Where a part has a picture the mesh has a texture, and vertex colours only if a part has some; else it has vertex colours.
    """
    corners = [_corners(part) for part in parts]
    vertices = np.concatenate([part.vertices for part in corners])
    normals = np.concatenate([part.normals for part in corners])
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    mesh = Mesh(np.ascontiguousarray(vertices, np.float32), faces, np.ascontiguousarray(normals, np.float32))
    pictured = [part.uvs is not None and part.material.picture is not None for part in corners]
    if not any(pictured):
        return mesh.replace(colors=np.concatenate([_vertex_colors(part, part.material.color) for part in corners]))
    uvs, texture = common_texture(corners)
    # The texture holds the colours of the materials, but for a part whose picture is a white tile below its vertex colours.
    white = np.ones(3, np.float32)
    colors = np.concatenate([_vertex_colors(part, white if has_picture or part.colors is None else part.material.color)
                             for part, has_picture in zip(corners, pictured, strict=True)])
    return mesh.replace(uvs=uvs, texture=texture, colors=None if (colors == 255).all() else colors)


def indexed_surface(parts: Sequence[Part]) -> Mesh:
    """The vertices, faces, normals and texture coordinates of the parts, one after the other, without their colours: nothing is computed.

    Where a part has no texture coordinates the mesh has none. A part without normals, or with some of no direction, has a vertex for every
    corner of every face.
    """
    parts = [part if part.normals is not None and _usable(part.normals).all() else _corners(part) for part in parts]
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])[:-1]
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    uvs = [part.uvs for part in parts if part.uvs is not None]
    return Mesh(np.concatenate([part.vertices for part in parts]), faces.astype(np.int32),
                np.concatenate([part.normals for part in parts if part.normals is not None]),
                np.concatenate(uvs) if len(uvs) == len(parts) else None)


def _corners(part: Part) -> Part:
    """The part with three vertices a face and with normals."""
    part = part.expanded()
    flat = np.repeat(normalized(area_vectors(part.vertices, part.faces)), 3, axis=0)
    if part.normals is None:
        return replace(part, normals=flat)
    given = normalized(part.normals)
    return replace(part, normals=np.where(_usable(given), given, flat))


def _usable(normals: np.ndarray) -> np.ndarray:
    """(n, 1) bool: which of (n, 3) have a direction."""
    return np.isfinite(normals).all(axis=1, keepdims=True) & (normals != 0).any(axis=1, keepdims=True)


def _vertex_colors(part: Part, color: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 sRGB: the vertex colours of a part, multiplied by a colour."""
    linear = np.broadcast_to(color, part.vertices.shape)
    return srgb_bytes(linear if part.colors is None else linear * part.colors)


@dataclass(frozen=True)
class _TileContent:
    """What a tile shows; parts that look the same share one.

    color : (red, green, blue), linear light, of the whole tile, or of what multiplies the picture
    picture : the id of `pixels`, or None; wrap, crisp : as in `Material`
    window : the part of the plane that is shown, in whole pictures: (left, right, top, bottom)
    """

    color: tuple[float, ...]
    picture: int | None = None
    wrap: tuple[str, str] = ("repeat", "repeat")
    nearest: bool = False
    window: tuple[int, int, int, int] = (0, 1, 0, 1)
    pixels: np.ndarray | None = field(default=None, compare=False, repr=False)


def common_texture(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """uvs (n, 2) float32 in [0, 1], one row for each vertex of the parts, and the texture (h, w, 3) uint8.

    parts : three vertices a face, none of them shared
    """
    placed = [each for group in _groups(parts) for each in _tile_contents(*group)]
    different = dict.fromkeys(look for look, _, _ in placed)
    max_size = min(MAX_TILE, math.isqrt(MAX_TEXELS // len(different)))
    tiles = {look: _tile(look, max_size) for look in different}
    lefts = dict(zip(tiles, np.cumsum([0, *(tile.shape[1] for tile in tiles.values())]), strict=False))
    texture = np.zeros((max(tile.shape[0] for tile in tiles.values()), sum(tile.shape[1] for tile in tiles.values()), 3), np.uint8)
    for look, tile in tiles.items():
        texture[:tile.shape[0], lefts[look]:lefts[look] + tile.shape[1]] = tile
    uvs = np.empty((sum(len(part.vertices) for part in parts), 2), np.float32)
    for look, rows, local in placed:
        size = np.array(tiles[look].shape[1::-1])
        # Half a pixel inside of the tile, so that the next one does not bleed in.
        uvs[rows] = (np.clip(local * size, 0.5, size - 0.5) + [lefts[look], 0]) / texture.shape[1::-1]
    return uvs, texture


def _groups(parts: Sequence[Part]) -> Iterator[tuple[Material, np.ndarray, np.ndarray | None]]:
    """Materials, the rows of the vertices that have them, and the coordinates of those (n, 2), or None where no picture is shown."""
    found: dict[tuple[int, bool], list[tuple[Part, np.ndarray]]] = {}
    start = 0
    for part in parts:
        pictured = part.material.picture is not None and part.uvs is not None
        # What has no picture and vertex colours is white here: those are multiplied in where the mesh is shown.
        material = part.material if pictured or part.colors is None else WHITE
        key = id(material), pictured
        found.setdefault(key, []).append((replace(part, material=material), np.arange(start, start + len(part.vertices))))
        start += len(part.vertices)
    for (_, pictured), group in found.items():
        uvs = np.concatenate([part.uvs for part, _ in group]) if pictured else None
        yield group[0][0].material, np.concatenate([rows for _, rows in group]), uvs


def _tile_contents(material: Material, rows: np.ndarray, given: np.ndarray | None) -> Iterator[tuple[_TileContent, np.ndarray, np.ndarray]]:
    """What the faces of one material show: each look, the rows of the vertices that show it, and where in it, (k, 2) in [0, 1]."""
    middle, color = np.array([0.5, 0.5]), tuple(material.color.tolist())
    if given is None:
        yield _TileContent(color), rows, middle
        return
    uvs, windows, usable = _windows(given, material.wrap)
    for code in np.flatnonzero(np.bincount(windows[usable])):
        mine = np.repeat(usable & (windows == code), 3)
        left, right, top, bottom = window = _window(int(code))
        yield (_TileContent(color, id(material.picture), material.wrap, material.nearest, window, material.picture), rows[mine],
               (uvs[mine] - [left, top]) / [right - left, bottom - top])
    if not usable.all():
        assert material.picture is not None  # or nothing would be given
        mean = to_linear(material.picture.reshape(-1, 3).mean(axis=0) / 255) * material.color
        yield _TileContent(tuple(mean.tolist())), rows[np.repeat(~usable, 3)], middle


def _windows(uvs: np.ndarray, wrap: tuple[str, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For (n, 2) coordinates, three rows a face: the coordinates, each face moved by whole periods to where it is nearest to zero;
    the code (m,) of the window that shows each face; and for which faces (m,) there is one."""
    moved, sides, usable = uvs.astype(np.float64), [], np.isfinite(uvs).reshape(-1, 6).all(axis=1)
    faces = np.where(usable[:, None, None], moved.reshape(-1, 3, 2), 0)
    for axis, mode in enumerate(wrap):
        corners = faces[..., axis]
        lowest = corners.min(axis=1)
        if mode == "clamp":
            first, shift = np.minimum(np.floor(lowest + NEARLY), 0), np.zeros_like(lowest)
            corners = corners.clip(-MAX_REPEATS, MAX_REPEATS)
        else:
            period = 2 if mode == "mirror" else 1
            # A corner at exactly 1 belongs to the period below, whose other corners it goes with.
            first, shift = np.zeros_like(lowest), period * np.floor(lowest / period + 1e-9)
        corners = corners - shift[:, None]
        last = np.maximum(np.ceil(corners.max(axis=1) - NEARLY), 1)
        usable &= last <= MAX_REPEATS
        sides += [_exponent(-first), _exponent(last)]
        moved[:, axis] = corners.ravel()
    if "clamp" not in wrap:  # one number for both directions: that makes fewer tiles, and the larger number decides their pixels anyway
        sides[1] = sides[3] = np.maximum(sides[1], sides[3])
    return moved, ((sides[0] * 8 + sides[1]) * 8 + sides[2]) * 8 + sides[3], usable


def _exponent(counts: np.ndarray) -> np.ndarray:
    """(n,) int64, 0 to 7: of the next power of two of whole numbers up to `MAX_REPEATS`, plus one; 0 for zero."""
    bounded = counts.clip(0, MAX_REPEATS)
    return np.where(bounded > 0, 1 + np.ceil(np.log2(np.maximum(bounded, 1))), 0).astype(np.int64)


def _window(code: int) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) of the code of four exponents of three bits each."""
    left, right, top, bottom = ((1 << (code >> shift & 7)) >> 1 for shift in (9, 6, 3, 0))
    return -left, right, -top, bottom


def _tile(look: _TileContent, max_size: int) -> np.ndarray:
    """(h, w, 3) uint8: the picture of it, each side at most `max_size` pixels, but for one that repeats more often than that."""
    if look.pixels is None:
        return np.broadcast_to(srgb_bytes(np.array(look.color, np.float32)), (PLAIN_TILE, PLAIN_TILE, 3))
    left, right, top, bottom = look.window
    max_size = max(1, max_size // max(right - left, bottom - top))
    once = tinted(downscaled(look.pixels, max_size), np.array(look.color, np.float32))
    if look.nearest:  # the mesh is shown with its texture's pixels blended: of several alike only the outermost are
        times = min(MAX_COPIES, max(1, max_size // max(once.shape[:2])))
        once = once.repeat(times, axis=0).repeat(times, axis=1)
    columns = _shown(look.wrap[0], left, right, once.shape[1])
    return once[np.ix_(_shown(look.wrap[1], top, bottom, once.shape[0]), columns)]


def _shown(wrap: str, first: int, last: int, size: int) -> np.ndarray:
    """((last - first) * size,) int64: which of a picture's `size` rows or columns is seen from `first` to `last` pictures."""
    places = np.arange(first * size, last * size)
    if wrap == "clamp":
        return places.clip(0, size - 1)
    if wrap == "mirror":
        places = places % (2 * size)
        return np.where(places < size, places, 2 * size - 1 - places)
    return places % size

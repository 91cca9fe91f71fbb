"""Putting primitives together: a builder that ends in the array that `sdf` reads."""

from dataclasses import dataclass, field

import numpy as np

from . import sdf

RING = np.stack([np.cos(np.arange(16) * np.pi / 8), np.sin(np.arange(16) * np.pi / 8)], axis=1)


def turn(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix (3, 3) about a world axis, counter-clockwise seen from its tip."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    m = np.eye(3)
    m[i, i], m[i, j], m[j, i], m[j, j] = c, -s, s, c
    return m


@dataclass
class Builder:
    """Collects primitives of a prop; slots name the parts that share a colour (0 main, 1 second, 2 detail ...)."""

    rows: list = field(default_factory=list)
    hull: list = field(default_factory=list)

    def add(self, kind, sizes, at, slot=0, rotation=None, rounding=0.0):
        rotation = np.eye(3) if rotation is None else rotation
        row = np.zeros(sdf.COLUMNS, np.float32)
        row[0], row[1:10], row[10:13] = kind, rotation.ravel(), at
        row[13:13 + len(sizes)], row[17], row[22] = sizes, rounding, slot
        support = _support(kind, sizes)
        row[21] = np.linalg.norm(support, axis=1).max()
        self.rows.append(row)
        self.hull.append(support @ rotation.T + np.asarray(at))

    def box(self, half, at, slot=0, rotation=None, rounding=0.02):
        self.add(sdf.BOX, half, at, slot, rotation, min(rounding, 0.45 * min(half)))

    def cone(self, half, bottom, top, at, slot=0, rotation=None, rounding=0.015):
        self.add(sdf.CONE, (half, bottom, top), at, slot, rotation, min(rounding, 0.4 * half, 0.4 * max(bottom, top)))

    def cylinder(self, half, radius, at, slot=0, rotation=None, rounding=0.015):
        self.cone(half, radius, radius, at, slot, rotation, rounding)

    def ellipsoid(self, radii, at, slot=0, rotation=None):
        self.add(sdf.ELLIPSOID, radii, at, slot, rotation)

    def sphere(self, radius, at, slot=0):
        self.ellipsoid((radius, radius, radius), at, slot)

    def torus(self, radius, thickness, at, slot=0, rotation=None):
        self.add(sdf.TORUS, (radius, thickness), at, slot, rotation)

    def tube(self, radius, half_wall, half, at, slot=0, rotation=None, rounding=0.01):
        self.add(sdf.TUBE, (radius, half_wall, half), at, slot, rotation, min(rounding, 0.4 * half_wall, 0.4 * half))

    def capsule(self, half, radius, at, slot=0, rotation=None):
        self.add(sdf.CAPSULE, (half, radius), at, slot, rotation)

    def prism(self, half_base, height, half_depth, at, slot=0, rotation=None):
        self.add(sdf.PRISM, (half_base, height, half_depth), at, slot, rotation)

    def limb(self, start, end, radius, slot=0, end_radius=None):
        """A round bar from `start` to `end` (the wider end may differ)."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        along = end - start
        length = np.linalg.norm(along)
        z = along / length
        x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
        x /= np.linalg.norm(x)
        rotation = np.stack([x, np.cross(z, x), z], axis=1)
        self.cone(length / 2, radius, end_radius or radius, (start + end) / 2, slot, rotation)

    def finish(self, colors: np.ndarray, radius: float = 0.97) -> np.ndarray:
        """Centre on the bounding box, scale into a sphere of `radius`, colour by slot -> prop (n, 24) float32."""
        prop, hull = np.stack(self.rows), np.concatenate(self.hull)
        centre = (hull.min(axis=0) + hull.max(axis=0)) / 2
        scale = radius / np.linalg.norm(hull - centre, axis=1).max()
        prop[:, 10:13] = (prop[:, 10:13] - centre) * scale
        prop[:, 13:18] *= scale
        prop[:, 21] = prop[:, 21] * scale * 1.001
        prop[:, 18:21] = np.asarray(colors)[prop[:, 22].astype(int)]
        return prop.astype(np.float32)


def _support(kind: int, sizes) -> np.ndarray:
    """Points whose hull covers a primitive, in its own axes (n, 3)."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    if kind == sdf.BOX:
        return corners * sizes
    if kind == sdf.PRISM:
        half, height, depth = sizes
        return np.array([[x, y, z] for y in (-depth, depth) for x, z in ((-half, -height / 2), (half, -height / 2), (0, height / 2))])
    if kind == sdf.CONE:
        half, bottom, top = sizes
        return np.concatenate([np.c_[RING * r, np.full(16, z)] for r, z in ((bottom, -half), (top, half))])
    if kind == sdf.TUBE:
        radius, wall, half = sizes
        return np.concatenate([np.c_[RING * (radius + wall), np.full(16, z)] for z in (-half, half)])
    if kind == sdf.TORUS:
        return np.concatenate([np.c_[RING * (sizes[0] + sizes[1]), np.zeros(16)], np.c_[RING * sizes[0], np.full(16, sizes[1])],
                               np.c_[RING * sizes[0], np.full(16, -sizes[1])]])
    if kind == sdf.CAPSULE:
        sizes = (sizes[1], sizes[1], sizes[0] + sizes[1])
    rings = [np.c_[RING * np.cos(a), np.full(16, np.sin(a))] for a in np.radians([-90, -45, 0, 45, 90])]
    return np.concatenate(rings) * sizes

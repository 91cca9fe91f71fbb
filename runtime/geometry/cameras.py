"""Cameras that orbit the object, in the axes of the reconstructor.

World: right-handed, z up, the front of an object looks along +x, azimuth is measured from +x
towards +y. Cameras follow OpenGL: x right, y up, looking along -z. Images: row 0 at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .mesh import normalized

AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
ELEVATIONS = (20.0, -10.0, 20.0, -10.0, 20.0, -10.0)
FOV = 30.0
RADIUS = 4.0


@dataclass(frozen=True, eq=False)
class Cameras:
    """n pinhole cameras with square images and one field of view.

    c2w : (n, 4, 4) float64, camera to world, columns x right, y up, z backwards, position
    fov : full angle of view in degrees, across as well as up
    """

    c2w: np.ndarray
    fov: float

    def __len__(self) -> int:
        return len(self.c2w)

    def select(self, which: slice | Sequence[int] | np.ndarray) -> Cameras:
        """Some of the cameras."""
        return Cameras(self.c2w[which], self.fov)

    @property
    def positions(self) -> np.ndarray:
        """(n, 3) float64: where the cameras stand."""
        return self.c2w[:, :3, 3]

    @property
    def focal(self) -> float:
        """Focal length as a fraction of the image's side: 1.866 at 30 degrees."""
        return 0.5 / np.tan(np.radians(self.fov) / 2)


def orbit(
    azimuths: Sequence[float] = AZIMUTHS, elevations: Sequence[float] = ELEVATIONS,
    radius: float = RADIUS, fov: float = FOV,
) -> Cameras:
    """Cameras on a sphere around the origin that look at it, up along +z.

    The defaults are the six views of Zero123++ v1.2 and InstantMesh.
    azimuths, elevations : degrees, equally many; elevations strictly between -90 and 90
    radius : distance to the origin; fov : degrees
    """
    azimuth, elevation = np.radians(np.asarray(azimuths, float)), np.radians(np.asarray(elevations, float))
    level = np.cos(elevation)
    backwards = np.stack(
        [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=1)
    right = normalized(np.cross([0.0, 0.0, 1.0], backwards))
    c2w = np.tile(np.eye(4), (len(backwards), 1, 1))
    c2w[:, :3, :] = np.stack(
        [right, np.cross(backwards, right), backwards, radius * backwards], axis=2)
    return Cameras(c2w, fov)


def camera_vectors(cameras: Cameras) -> np.ndarray:
    """(n, 16) float32 as InstantMesh conditions on: c2w without its last row, then fx, fy, cx, cy.

    Focal lengths and centre are fractions of the image's side.
    """
    poses = cameras.c2w[:, :3, :].reshape(-1, 12)
    lens = np.tile([cameras.focal, cameras.focal, 0.5, 0.5], (len(poses), 1))
    return np.concatenate([poses, lens], axis=1).astype(np.float32)


def rays(cameras: Cameras, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rays through the pixel centres of size x size images.

    Returns origins and unit directions, both (n, size, size, 3) float32, rows from the top.
    """
    offsets = (((np.arange(size) + 0.5) / size - 0.5) / cameras.focal).astype(np.float32)
    right, up, backwards = np.moveaxis(cameras.c2w[:, :3, :3].astype(np.float32), 2, 0)[:, :, None]
    rows = -offsets[:, None] * up - backwards
    columns = offsets[:, None] * right
    lengths = np.sqrt(1 + offsets[:, None] ** 2 + offsets**2)
    directions = (rows[:, :, None] + columns[:, None]) / lengths[..., None]
    origins = np.broadcast_to(
        cameras.positions.astype(np.float32)[:, None, None, :], directions.shape)
    return origins, directions


def project(cameras: Cameras, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where world points fall in each image.

    points : (m, 3) float
    Returns uv (n, m, 2) float32, fractions of the image with the origin at its top left (outside
    [0, 1] when out of view), and depth (n, m) float32 along the viewing axis, positive in front.
    uv means nothing where depth <= 0.
    """
    rotations = cameras.c2w[:, :3, :3].astype(np.float32)
    offsets = np.asarray(points, np.float32)[None] - cameras.positions.astype(np.float32)[:, None]
    local = offsets @ rotations
    depth = -local[..., 2]
    scale = np.float32(cameras.focal) / np.where(depth == 0, np.float32(1e-12), depth)
    uv = np.stack([0.5 + local[..., 0] * scale, 0.5 - local[..., 1] * scale], axis=-1)
    return uv, depth


def sampling_places(cameras: Cameras, points: np.ndarray) -> np.ndarray:
    """Where a network samples the views at world points (m, 3): (n, m, 3) float32.

    Across and down the image from -1 to 1, as grid sampling counts, and depth along the viewing axis less that of the origin.
    """
    uv, depth = project(cameras, points)
    away = np.linalg.norm(cameras.positions, axis=1).astype(np.float32)
    return np.concatenate([2 * uv - 1, (depth - away[:, None])[..., None]], axis=-1)

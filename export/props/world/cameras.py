"""The six Zero123++ v1.2 poses that every view of the world is seen from."""

import numpy as np

AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
ELEVATIONS = (20.0, -10.0, 20.0, -10.0, 20.0, -10.0)
RADIUS, FOV = 4.0, 30.0


def view_poses() -> np.ndarray:
    """Camera-to-world matrices (6, 4, 4) float64 in OpenGL axes (x right, y up, z backwards), z-up world."""
    return poses(AZIMUTHS, ELEVATIONS, RADIUS)


def poses(azimuths, elevations, radius) -> np.ndarray:
    """Cameras-to-world (n, 4, 4) float64 that look at the origin from azimuths and elevations (n,) in degrees."""
    a, e = np.radians(azimuths), np.radians(elevations)
    z = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=1)
    x = np.cross([0.0, 0.0, 1.0], z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    made = np.tile(np.eye(4), (len(z), 1, 1))
    made[:, :3, 0], made[:, :3, 1], made[:, :3, 2], made[:, :3, 3] = x, np.cross(z, x), z, radius * z
    return made


def camera_vectors() -> np.ndarray:
    """What the reconstructor's camera embedder takes (6, 16) float32: first three rows of c2w, then fx, fy, cx, cy."""
    focal = 0.5 / np.tan(np.radians(FOV) / 2)
    intrinsics = np.tile([focal, focal, 0.5, 0.5], (6, 1))
    return np.concatenate([view_poses()[:, :3].reshape(6, 12), intrinsics], axis=1).astype(np.float32)

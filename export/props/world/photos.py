"""Pictures of props as people take them: any camera, any light, a background, noise. Seeded, with the true mask."""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from ....runtime.geometry.cameras import orbit
from . import sdf
from .world import Prop, make_prop


@dataclass(frozen=True)
class Shot:
    """A camera that looks at the origin. Degrees; radius in units of the world; shift : the picture's, in shares of its side."""

    azimuth: float
    elevation: float
    radius: float
    fov: float
    shift: tuple[float, float] = (0.0, 0.0)

    def c2w(self) -> np.ndarray:
        """(1, 4, 4) float64, camera to world in OpenGL axes; the shift is none of it."""
        return orbit([self.azimuth], [self.elevation], self.radius).c2w


def random_shot(rng: np.random.Generator, azimuth: float | None = None) -> Shot:
    """A camera from which the unit sphere fills between 0.6 and 1.05 of the picture; from any side unless `azimuth` is given."""
    fov = float(rng.uniform(20, 50))
    radius = 1 / np.sin(np.arctan(np.tan(np.radians(fov) / 2) * rng.uniform(0.6, 1.05)))
    around = float(rng.uniform(0, 360))
    return Shot(around if azimuth is None else azimuth, float(rng.uniform(-15, 45)), float(radius), fov)


def random_light(rng: np.random.Generator, azimuth: float) -> sdf.Light:
    """A light above, from the camera's side more often than not; one picture in three has a little gloss."""
    around, up = np.radians(azimuth + rng.normal(0, 70)), np.radians(rng.uniform(10, 80))
    direction = (np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up))
    ambient = float(rng.uniform(0.35, 0.7))
    gloss = float(rng.uniform(0, 0.35)) if rng.random() < 0.35 else 0.0
    return sdf.Light(direction, ambient, float(rng.uniform(0.85, 1.15) - ambient), gloss)


def random_photo(seed: int, size: int = 256) -> tuple[np.ndarray, np.ndarray, Shot, Prop]:
    """A photo of the prop of `seed` before a textured background.

    Returns rgb (size, size, 3) uint8, the true mask (size, size) bool, the camera and the prop.
    """
    rng, prop = np.random.default_rng((seed, 3)), make_prop(seed)
    shot = random_shot(rng)
    seen = sdf.render_rgba(prop.primitives, shot.c2w(), size, shot.fov, random_light(rng, shot.azimuth))[0]
    seen, shift = _moved(seen, rng)
    cover = seen[..., 3:]
    behind = background(size, rng)
    if rng.random() < 0.6:
        behind = behind * (1 - rng.uniform(0.1, 0.5) * _shadow(cover, rng))
    picture = developed(seen[..., :3] + (1 - cover) * behind, rng)
    return (picture * 255 + 0.5).astype(np.uint8), cover[..., 0] > 0.5, replace(shot, shift=shift), prop


def developed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera makes of a scene (h, w, 3): exposure, colour cast, contrast, noise -> [0, 1]."""
    gain = rng.uniform(0.85, 1.1) * (1 + rng.normal(0, 0.03, 3))
    bent = np.clip(picture * gain, 0, 1) ** rng.uniform(0.85, 1.2)
    return np.clip(bent + rng.normal(0, rng.uniform(0, 0.03), picture.shape), 0, 1)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A textured background (size, size, 3) float64 in [0, 1]: plain, gradient, clouds, stripes, tiles, or wall and floor."""
    first, second = _surface(size, rng), _surface(size, rng)
    if rng.random() < 0.4:
        edge = rng.uniform(0.35, 0.8) * size + rng.normal(0, 0.08) * (np.arange(size) - size / 2)
        below = 1 / (1 + np.exp(-(np.arange(size)[:, None] - edge[None]) / rng.uniform(0.5, 4)))
        first = first + (second - first) * below[..., None]
    return np.clip(first, 0, 1)


def _surface(size: int, rng: np.random.Generator) -> np.ndarray:
    """One textured surface (size, size, 3)."""
    kind, one, two = rng.integers(5), rng.uniform(0.05, 1, 3), rng.uniform(0.05, 1, 3)
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle, count = rng.uniform(0, np.pi), rng.uniform(2, 16)
    along = x * np.cos(angle) + y * np.sin(angle)
    if kind == 0:
        mix = along + 0.5
    elif kind == 1:
        mix = 0.5 + 0.5 * np.sin(along * count * 2 * np.pi)
    elif kind == 2:
        across = y * np.cos(angle) - x * np.sin(angle)
        mix = ((np.floor(along * count) + np.floor(across * count)) % 2).astype(float)
    else:
        mix = clouds(size, rng, octaves=int(rng.integers(2, 6)))
    strength = rng.uniform(0.1, 1) if kind else 1.0
    fine = (clouds(size, rng, octaves=6) - 0.5) * rng.uniform(0, 0.4)
    return one + (two - one) * strength * mix[..., None] + fine[..., None]


def clouds(size: int, rng: np.random.Generator, octaves: int) -> np.ndarray:
    """Value noise (size, size) in [0, 1], each octave half as strong and twice as fine as the one before."""
    total, weight = np.zeros((size, size)), 0.0
    for octave in range(octaves):
        cells = 2 ** (octave + 1)
        total += _smooth(rng.random((cells + 2, cells + 2)), size) * 0.5**octave
        weight += 0.5**octave
    return total / weight


@njit(cache=True)
def _smooth(grid, size):
    """The grid's values (n + 2, n + 2), interpolated smoothly over a picture (size, size)."""
    cells, out = grid.shape[0] - 2, np.empty((size, size))
    for row in range(size):
        v = (row + 0.5) / size * cells
        i = int(v)
        a = (v - i) ** 2 * (3 - 2 * (v - i))
        for column in range(size):
            u = (column + 0.5) / size * cells
            j = int(u)
            b = (u - j) ** 2 * (3 - 2 * (u - j))
            upper = grid[i, j] * (1 - b) + grid[i, j + 1] * b
            lower = grid[i + 1, j] * (1 - b) + grid[i + 1, j + 1] * b
            out[row, column] = upper * (1 - a) + lower * a
    return out


def _moved(seen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """The object (size, size, 4) moved in the picture without leaving it, and by what share of the side, right and down."""
    rows, columns = np.flatnonzero(seen[..., 3].any(axis=1)), np.flatnonzero(seen[..., 3].any(axis=0))
    size = len(seen)
    down, right = (int(rng.integers(-span[0], size - span[-1])) // 2 for span in (rows, columns))
    return np.roll(seen, (down, right), axis=(0, 1)), (right / size, down / size)


def _shadow(cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A soft dark patch (size, size, 1) under the object, from its own outline pressed flat."""
    rows, columns = np.flatnonzero(cover.any(axis=(1, 2))), np.flatnonzero(cover.any(axis=(0, 2)))
    size = len(cover)
    y, x = np.mgrid[:size, :size]
    width, height = (columns[-1] - columns[0]) * rng.uniform(0.4, 0.6) + 1, (rows[-1] - rows[0]) * rng.uniform(0.06, 0.15) + 1
    centre = (columns[0] + columns[-1]) / 2 + rng.normal(0, 0.1) * width
    away = ((x - centre) / width) ** 2 + ((y - rows[-1]) / height) ** 2
    return np.exp(-(away**2))[..., None]

"""What DMV3D learns to see of the shapes: four views on a circle, two from elsewhere, and a picture that the first view may be.

As slot weights, like those of `Dataset`, so that they come in any colours. But for the picture they are unlit: the field that they
are rendered from holds bare colours. Some shapes are turned, because a picture shows a thing from anywhere, and its own camera is the
first of the circle.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ....runtime.geometry import cameras
from . import sdf
from .dataset import slot_views, to_bytes
from .photos import random_light
from .pictures import RATIO
from .sdf_torch import SLOTS
from .world import Prop, make_prop

SIZE, RADIUS, FOV, ELEVATION = 64, 2.4, 50.0, 20.0
AZIMUTHS = (0.0, 90.0, 180.0, 270.0)
CIRCLE, NOVEL = len(AZIMUTHS), 2
PICTURE = CIRCLE + NOVEL
UNLIT = sdf.Light(ambient=1.0, diffuse=0.0)
# Share of the shapes that stand as captions mean them, front to +x; and of the others, those seen from anywhere, not from about the front.
UPRIGHT, ANYWHERE = 0.6, 0.4
RENDERED = 96


@dataclass(frozen=True)
class Setting:
    """From where a shape is seen. turn : degrees from its front to the first camera of the circle; novel : (2, 2) azimuths and
    elevations of further cameras, azimuths from the first camera"""

    turn: float
    novel: np.ndarray

    @classmethod
    def of(cls, seed: int) -> "Setting":
        """That of the prop of `seed`, the same each time."""
        rng = np.random.default_rng((seed, 5))
        kind, anywhere, near = rng.random(), rng.uniform(0, 360), rng.uniform(-60, 60)
        turn = 0.0 if kind < UPRIGHT else anywhere if rng.random() < ANYWHERE else near
        return cls(float(turn), rng.uniform((0, -30), (360, 60), (NOVEL, 2)))

    def cameras(self, turned: bool = True) -> cameras.Cameras:
        """The six cameras, around the shape as it stands in the world; or, not `turned`, as seen from the first one."""
        azimuths = np.concatenate([AZIMUTHS, self.novel[:, 0]]) + (self.turn if turned else 0.0)
        elevations = np.concatenate([np.full(CIRCLE, ELEVATION), self.novel[:, 1]])
        return cameras.orbit(azimuths.tolist(), elevations.tolist(), RADIUS, FOV)


def seen(prop: Prop) -> np.ndarray:
    """(7, SLOTS + 1, 64, 64) uint8: the views of its setting, and a picture from the first camera's side, cropped as pictures are."""
    setting, rng = Setting.of(prop.seed), np.random.default_rng((prop.seed, 6))
    views = slot_views(prop, setting.cameras().c2w, SIZE, FOV, UNLIT)
    azimuth, fov = setting.turn + rng.normal(0, 6), float(rng.uniform(22, 50))
    radius = 1.05 / np.sin(np.radians(fov) / 2)
    shot = cameras.orbit([azimuth], [ELEVATION + float(np.clip(rng.normal(0, 12), -30, 30))], radius, fov)
    photo = slot_views(prop, shot.c2w, RENDERED, fov, random_light(rng, azimuth))[0]
    return to_bytes(np.concatenate([views, _cropped(photo, RATIO * rng.uniform(0.95, 1.05))[None]]))


def _cropped(weights: np.ndarray, ratio: float) -> np.ndarray:
    """A square (SLOTS + 1, 64, 64) of which the longer side of what is covered takes `ratio`."""
    covered = weights[SLOTS] > 0.2
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) / ratio
    x, y, margin = (left + right - side) / 2, (top + bottom - side) / 2, RENDERED
    box = (x + margin, y + margin, x + margin + side, y + margin + side)
    padded = np.pad(weights, [(0, 0), (margin, margin), (margin, margin)]).astype(np.float32)
    return np.stack([np.asarray(Image.fromarray(channel).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)) for channel in padded])


def write(folder: Path, seeds: np.ndarray) -> np.ndarray:
    """`seen` of the props of these seeds (n, 7, SLOTS + 1, 64, 64), mapped from a file; a stopped run goes on where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    views = _mapped(folder / "circle_views.npy", (len(seeds), PICTURE + 1, SLOTS + 1, SIZE, SIZE), np.uint8)
    done = _mapped(folder / "circle_seeds.npy", (len(seeds),), np.int64)
    for i in np.flatnonzero(done != seeds + 1):
        views[i] = seen(make_prop(int(seeds[i])))
        done[i] = seeds[i] + 1  # last: it says that the row is whole
    return views


def _mapped(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    if path.exists() and np.load(path, mmap_mode="r").shape == shape:
        return np.load(path, mmap_mode="r+")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

"""What the picture networks get to see: a photo of a prop, cut out by a matte that is not quite right, on white. Seeded."""

import io

import numpy as np
from PIL import Image, ImageFilter

from . import sdf
from .photos import background, developed, random_light, random_shot
from .world import Prop

SIZE, RATIO = 128, 0.85
# Photos are rendered larger than they are shown, so that small objects keep their edges when they are cropped.
RENDERED = 192


def random_picture(prop: Prop, azimuth: float, rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """A picture (size, size, 3) uint8 on white of `prop` from `azimuth`, with errors of matte, crop and camera."""
    shot = random_shot(rng, azimuth=azimuth)
    light = random_light(rng, azimuth)
    seen = sdf.render_rgba(prop.primitives, shot.c2w(), RENDERED, shot.fov, light)[0]
    cover = seen[..., 3]
    photo = developed(seen[..., :3] + (1 - cover[..., None]) * background(RENDERED, rng), rng)
    if rng.random() < 0.3:
        photo = _blurred(photo, rng.uniform(0.3, 1.2))
    matte = spoiled(cover, rng) if rng.random() < 0.7 else cover
    return _compressed(cropped(photo, matte, size, RATIO * rng.uniform(0.93, 1.07), rng.normal(0, 0.012, 2)), rng)


def spoiled(cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A matte (h, w) in [0, 1] as networks make them: the edge moved by up to two pixels and softened, holes, crumbs left over."""
    matte = np.asarray(_as_image(cover).filter(_edge_filter(int(rng.integers(-2, 3)))), np.float64) / 255
    matte = _blurred(matte, rng.uniform(0.2, 1.5))
    if rng.random() < 0.25:
        matte = matte * (1 - _spot(matte, rng, rng.uniform(0.02, 0.06)))
    if rng.random() < 0.15:
        matte = np.maximum(matte, _spot(matte, rng, rng.uniform(0.02, 0.08)))
    return matte if matte.max() > 0.5 else cover


def cropped(photo: np.ndarray, matte: np.ndarray, size: int, ratio: float, shift=(0.0, 0.0)) -> np.ndarray:
    """The object on white (size, size, 3) uint8, its longer side `ratio` of the picture's.

    photo (h, w, 3) and matte (h, w) in [0, 1]; shift : of the object, right and down, in shares of the side
    """
    white = photo * matte[..., None] + (1 - matte[..., None])
    rows, columns = np.flatnonzero((matte > 0.5).any(axis=1)), np.flatnonzero((matte > 0.5).any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) / ratio
    x, y = (left + right) / 2 - side * (0.5 + shift[0]), (top + bottom) / 2 - side * (0.5 + shift[1])
    padded, margin = np.pad(white, [(len(photo),) * 2] * 2 + [(0, 0)], constant_values=1.0), len(photo)
    box = (x + margin, y + margin, x + margin + side, y + margin + side)
    return np.asarray(_as_image(padded).resize((size, size), Image.Resampling.BICUBIC if side < size else Image.Resampling.BOX, box=box))


def _edge_filter(pixels: int):
    if pixels == 0:
        return ImageFilter.BoxBlur(0)
    return ImageFilter.MaxFilter(2 * pixels + 1) if pixels > 0 else ImageFilter.MinFilter(1 - 2 * pixels)


def _spot(matte: np.ndarray, rng: np.random.Generator, radius: float) -> np.ndarray:
    """A soft spot (h, w) in [0, 1] on or near the object; radius in shares of the side."""
    where = np.argwhere(matte > 0.5)
    if not len(where):
        return np.zeros_like(matte)
    centre = where[rng.integers(len(where))] + rng.normal(0, 0.04 * len(matte), 2)
    y, x = np.mgrid[:matte.shape[0], :matte.shape[1]]
    away = np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (radius * len(matte))
    return np.clip(1.5 - away, 0, 1)


def _as_image(values: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))


def _blurred(values: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(_as_image(values).filter(ImageFilter.GaussianBlur(radius)), np.float64) / 255


def _compressed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through JPEG, four times in ten."""
    if rng.random() > 0.4:
        return picture
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=int(rng.integers(50, 95)))
    return np.asarray(Image.open(stream))

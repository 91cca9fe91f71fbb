"""From the colours of the texels on charts to a whole texture: their borders repeated outwards, and no empty space.

Strips of rows come from the top; what memory grows with is the strip, the texture of 8 bits, and its half in floats.
"""

from __future__ import annotations

import numpy as np

from ..geometry.masks import grown
from .atlas import Atlas

GUTTER = 4  # texels around each chart that repeat its border
BLOCK = 1 << 20  # texels that are filled at once


class Painter:
    """Paints a texture of size x size texels, a power of two: `add` each strip from the top, then `finish`.

    The gutter keeps linear filtering clean, the filled rest keeps the small mip levels clean.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._texture = np.zeros((size, size, 3), np.uint8)
        self._filled = np.zeros((size, size), bool)
        half = size // 2
        self._levels = [(np.zeros((half, half, 3), np.float32), np.zeros((half, half), np.uint8))]
        # The rows that are not done, and those above them that their gutter needs.
        self._image, self._known, self._done = np.zeros((0, size, 3), np.float32), np.zeros((0, size), bool), 0

    def add(self, atlas: Atlas, colors: np.ndarray) -> None:
        """Paint the next strip, of an even number of rows. colors : (k, 3) float in [0, 1], of its texels"""
        first, stop = atlas.rows
        image, known = np.zeros(((stop - first) * self.size, 3), np.float32), np.zeros((stop - first) * self.size, bool)
        image[atlas.texel - first * self.size] = colors
        known[atlas.texel - first * self.size] = True
        self._image = np.concatenate([self._image, image.reshape(-1, self.size, 3)])
        self._known = np.concatenate([self._known, known.reshape(-1, self.size)])
        done = stop if stop == self.size else max(stop - GUTTER, self._done)
        top = stop - len(self._image)
        if done > self._done:
            image, known = self._image.reshape(-1, 3).copy(), self._known.ravel().copy()
            for _ in range(GUTTER):
                _dilate(image, known, self.size)
            rows = slice(self._done - top, done - top)
            self._keep(self._done, image.reshape(self._image.shape)[rows], known.reshape(self._known.shape)[rows])
            self._done = done
        keep = max(done - GUTTER, 0) - top
        self._image, self._known = self._image[keep:], self._known[keep:]

    def finish(self) -> np.ndarray:
        """(size, size, 3) uint8: empty texels are taken from the smallest mip level that knows them."""
        if self._filled.all():
            return self._texture
        while len(self._levels[-1][1]) > 1:
            self._levels.append(self._next_level())
        height = max(BLOCK // self.size, 2)
        for first in range(0, self.size, height):
            rows = slice(first, min(first + height, self.size))
            means = _eight_bits(self._means(0, rows.start // 2, rows.stop // 2))
            np.copyto(self._texture[rows], _doubled(means), where=~self._filled[rows, :, None])
        return self._texture

    def _keep(self, first: int, image: np.ndarray, known: np.ndarray) -> None:
        """Write rows that are done, from the row `first`, and add them to the next mip level."""
        rows, half = slice(first, first + len(image)), slice(first // 2, (first + len(image)) // 2)
        self._texture[rows], self._filled[rows] = _eight_bits(image), known
        sums, counts = self._levels[0]
        sums[half], counts[half] = _fours(image), _fours(known.view(np.uint8))

    def _next_level(self) -> tuple[np.ndarray, np.ndarray]:
        """The sums and counts of the mip level above the last one."""
        counts = self._levels[-1][1]
        half = len(counts) // 2
        sums, height = np.zeros((half, half, 3)), max(BLOCK // len(counts), 2)
        for first in range(0, len(counts), height):
            means = _mean(*(part[first:first + height] for part in self._levels[-1]))
            sums[first // 2:first // 2 + len(means) // 2] = _fours(means)
        return sums, _fours((counts > 0).view(np.uint8))

    def _means(self, level: int, first: int, stop: int) -> np.ndarray:
        """(rows, width, 3) float64: rows of a mip level, what it does not know taken from the smaller ones."""
        sums, counts = (part[first:stop] for part in self._levels[level])
        means, empty = _mean(sums, counts), counts == 0
        if level + 1 < len(self._levels) and empty.any():
            above = _doubled(self._means(level + 1, first // 2, (stop + 1) // 2))
            np.copyto(means, above[first % 2:first % 2 + len(means)], where=empty[..., None])
        return means


def enlarged(texture: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8: a texture, interpolated smoothly. The gutter of a `Painter` keeps what lies between charts out of them."""
    if len(texture) == size:
        return texture
    from PIL import Image

    return np.asarray(Image.fromarray(texture).resize((size, size), Image.Resampling.BICUBIC))


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(h, w, 3) float64; zero where nothing was counted."""
    return sums / np.maximum(counts, 1)[..., None].astype(np.float64)


def _fours(values: np.ndarray) -> np.ndarray:
    """(h / 2, w / 2, ...): the sums of blocks of two by two."""
    return values[::2, ::2] + values[::2, 1::2] + values[1::2, ::2] + values[1::2, 1::2]


def _doubled(values: np.ndarray) -> np.ndarray:
    """(2 h, 2 w, 3): each value four times."""
    return values.repeat(2, axis=0).repeat(2, axis=1)


def _eight_bits(colors: np.ndarray) -> np.ndarray:
    """uint8 of colours in [0, 1], rounded."""
    return (np.clip(colors, 0.0, 1.0).astype(np.float64) * 255 + 0.5).astype(np.uint8)


def _dilate(image: np.ndarray, filled: np.ndarray, width: int) -> None:
    """Give each empty texel beside filled ones their mean, in place. image : (h * width, 3); filled : (h * width,)"""
    rows = np.flatnonzero(grown(filled.reshape(-1, width)).ravel() & ~filled)
    total, count = np.zeros((len(rows), 3), np.float32), np.zeros((len(rows), 1), np.float32)
    column = rows % width
    for offset, valid in ((-1, column > 0), (1, column < width - 1),
                          (-width, rows >= width), (width, rows < len(filled) - width)):
        source = np.where(valid, rows + offset, rows)  # a texel itself is empty, so it adds nothing
        weight = filled[source][:, None].astype(np.float32)
        total += image[source] * weight
        count += weight
    image[rows] = total / count
    filled[rows] = True

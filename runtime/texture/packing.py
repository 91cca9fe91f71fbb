"""Packs flat charts into a square by their shape on a grid of cells: each in the lowest free place, the largest first.

The grid is one whole number of Python, a bit a cell, row after row. Where a run of a chart's cells may begin, at all places at once, is
then a shift and an OR: a mask of 20 rows is tried everywhere with 40 of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..geometry.creases import next_corner
from .atlas import rasterize_rows
from .shelves import pack_boxes

CELLS = 128  # of the grid, along a side, unless there are many charts
MANY = 4000  # charts, from which on their boxes are packed instead, in a time that grows with their number alone
FIRST_FILL = 0.62  # share of the square that charts fill, as it is tried first
TRIES = 3  # scales that are tried
CLOSE = 1.01  # two scales, one that fits and one that does not, are close enough
ANGLES = 16  # within a quarter turn, that are tried for the smallest box
TALLEST = 1.25  # of the grid's height: beyond it a scale is given up

Runs = list[tuple[int, int]]  # first cell and length of each


def pack(flat: np.ndarray, chart: np.ndarray, outline: np.ndarray, padding: float) -> np.ndarray:
    """(m, 3, 2) float64 in [0, 1]: the corners of the faces, one scale for all charts, which are turned and moved.

    flat : (m, 3, 2) float64; chart : (m,) int from 0, of each face
    outline : (h,) int, the half-edges at the charts' borders
    padding : share of the square's side that stays free between charts; less where there are too many of them
    """
    count = int(chart.max()) + 1
    flat, padding = _lying(flat, chart), min(padding, 0.35 / np.sqrt(count))
    if count > MANY:
        return pack_boxes(flat, chart, padding)
    side = max(CELLS, int(np.ceil(3 * np.sqrt(count))))
    low, high, best, tries = 0.0, np.inf, None, 0
    area = flat_area(flat)
    largest = max(float(flat.max()), 1e-30)
    scale = min(np.sqrt(FIRST_FILL / area) if area > 0 else np.inf, 0.9 / largest)
    while best is None or tries < TRIES and high > CLOSE * low:
        tries += 1
        placed, height = _placed(flat * (scale * side), chart, outline, padding * side, side)
        if height <= side:
            low, best = scale, placed
            scale *= np.clip(np.sqrt(side / height), 1.015, 1.08)
        else:
            high = scale
            scale *= max(0.995 * np.sqrt(side / height), 0.7)
        if not low < scale < high:
            scale = (low + high) / 2
    return np.clip(best / side, 0.0, 1.0)


def flat_area(flat: np.ndarray) -> float:
    """Of the triangles (m, 3, 2) together."""
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return float(np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum() / 2)


def _lying(flat: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """The corners with each chart turned so that its box is the smallest of some and wider than high, its lowest corner at 0."""
    owner = np.repeat(chart, 3)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(int(chart.max()) + 1))
    corners = flat.reshape(-1, 2)[order]
    sizes = []
    angles = np.arange(ANGLES) * (np.pi / 2 / ANGLES)
    for angle in angles:
        turned = _turned(corners, np.full(1, angle))
        sizes.append(np.maximum.reduceat(turned, starts) - np.minimum.reduceat(turned, starts))
    every = np.stack(sizes)  # (angles, charts, 2)
    best = every.prod(axis=2).argmin(axis=0)
    width, height = every[best, np.arange(len(best))].T
    turned = _turned(flat.reshape(-1, 2), (angles[best] + np.where(height > width, np.pi / 2, 0.0))[owner])
    low = np.minimum.reduceat(turned[order], starts)
    return (turned - low[owner]).reshape(flat.shape)


def _turned(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(k, 2): points (k, 2) turned by angles (k,) or (1,)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([points[:, 0] * cosine - points[:, 1] * sine, points[:, 0] * sine + points[:, 1] * cosine], axis=1)


def _placed(local: np.ndarray, chart: np.ndarray, outline: np.ndarray, padding: float, side: int) -> tuple[np.ndarray, float]:
    """The corners at their places, and the height that was needed, all in cells. local : (m, 3, 2) in cells, each chart from 0"""
    local = local + padding / 2
    masks = _masks(local, chart, outline, padding / 2)
    grid, corner = _Grid(side), np.zeros((len(masks), 2))
    quarter, boxes = np.zeros(len(masks), bool), np.array([mask.shape for mask in masks])
    upright, turned_runs = (_runs(some, side + 1) for some in (masks, [np.rot90(mask) for mask in masks]))
    for index in np.argsort([-mask.size for mask in masks], kind="stable").tolist():
        height, width = masks[index].shape
        place = grid.put(height, width, upright[index], turned_runs[index])
        if place is None:  # it would be too high: how much is not known
            return local, TALLEST * side * 1.1
        corner[index], quarter[index] = place
    x, y, turned = local[..., 0], local[..., 1], quarter[chart][:, None]
    # np.rot90: what was the right side comes to the top
    local = np.stack([np.where(turned, y, x), np.where(turned, boxes[chart, 1][:, None] - x, y)], axis=2)
    return local + corner[chart][:, None], grid.top


def _masks(local: np.ndarray, chart: np.ndarray, outline: np.ndarray, margin: float) -> list[np.ndarray]:
    """For each chart (h, w) bool: the cells from 0 that it covers or comes closer to than `margin`."""
    count = int(chart.max()) + 1
    boxes = np.zeros((count, 2))
    np.maximum.at(boxes, chart, local.max(axis=1))
    boxes = np.ceil(boxes + margin).astype(np.int64).clip(1)
    first = np.cumsum(boxes[:, 1]) - boxes[:, 1]  # the masks are made in one strip, one below the other
    strip = np.zeros((int(boxes[:, 1].sum()), int(boxes[:, 0].max())), bool)
    below = np.stack([np.zeros(count), first], axis=1)
    strip.reshape(-1)[rasterize_rows(local + below[chart][:, None], *strip.shape)[1]] = True
    points, owner = _along(local.reshape(-1, 2), chart, outline)
    last, begin = boxes[owner] - 1, first[owner]
    near = [np.clip(np.floor(points + offset).astype(np.int64), 0, last) for offset in (-margin, 0, margin)]
    flat = strip.reshape(-1)
    for row in [(cell[:, 1] + begin) * strip.shape[1] for cell in near]:
        for cell in near:
            flat[row + cell[:, 0]] = True
    return [strip[top:top + height, :width] for top, (width, height) in zip(first, boxes, strict=True)]


def _along(corners: np.ndarray, chart: np.ndarray, outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (k, 2) on the outline, at most half a cell apart, and their charts (k,). corners : (3 m, 2)"""
    start, end = corners[outline], corners[next_corner(outline)]
    count = np.ceil(2 * np.abs(end - start).max(axis=1)).astype(np.int64) + 1
    index = np.repeat(np.arange(len(outline)), count)
    share = (np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)) / np.maximum(count - 1, 1)[index]
    return start[index] + share[:, None] * (end - start)[index], chart[outline // 3][index]


class _Grid:
    """A grid that is `side` cells wide. top : rows that are used"""

    def __init__(self, side: int) -> None:
        self._side, self._width, self.top = side, side + 1, 0  # a wall of one cell at the end of each row
        self._rows = int(TALLEST * side)
        self._taken = sum(1 << (side + row * self._width) for row in range(self._rows))

    def put(self, height: int, width: int, upright: Runs, turned: Runs) -> tuple[tuple[int, int], bool] | None:
        """Take the cells of a mask of that size at its lowest place: the first column and row, and whether it was turned by `np.rot90`.

        None if it is nowhere free. upright, turned : as `_runs`, of the mask as it is and turned
        """
        longest = max(height, width)
        rows = min(self.top + longest, self._rows)
        shifted = [self._taken & ((1 << rows * self._width) - 1)]  # bit p of the k-th: whether one of the 2^k from p on is taken
        for k in range(longest.bit_length() - 1):
            shifted.append(shifted[-1] | shifted[-1] >> (1 << k))
        best = None
        for quarter, high, wide, runs in ((False, height, width, upright), (True, width, height, turned)):
            if wide > self._side or high > rows:
                continue
            taken, places = 0, (rows - high + 1) * self._width
            for start, length in runs:
                doublings = length.bit_length() - 1
                taken |= shifted[doublings] >> start
                if rest := length - (1 << doublings):
                    taken |= shifted[doublings] >> start + rest
            free = ~taken & ((1 << places) - 1)
            if free:
                place = (free & -free).bit_length() - 1
                candidate = (place // self._width + high, place, quarter, runs)
                best = candidate if best is None else min(best, candidate)
        if best is None:
            return None
        bottom, place, quarter, runs = best
        for start, length in runs:
            self._taken |= (1 << length) - 1 << place + start
        self.top = max(self.top, bottom)
        return (place % self._width, place // self._width), quarter


def _runs(masks: Sequence[np.ndarray], width: int) -> list[Runs]:
    """For each mask (h, w) the first bit and the length of each run of its cells, in rows of `width` bits."""
    heights = np.array([len(mask) for mask in masks])
    first = np.cumsum(heights) - heights
    strip = np.zeros((int(heights.sum()), 2 + max(mask.shape[1] for mask in masks)), np.int8)
    for mask, top in zip(masks, first.tolist(), strict=True):
        strip[top:top + len(mask), 1:1 + mask.shape[1]] = mask
    change = strip[:, 1:] - strip[:, :-1]
    rows, starts = np.nonzero(change > 0)
    stops = np.nonzero(change < 0)[1]
    owner = np.searchsorted(first, rows, side="right") - 1
    runs = list(zip(((rows - first[owner]) * width + starts).tolist(), (stops - starts).tolist(), strict=True))
    ends = np.searchsorted(owner, np.arange(len(masks)), side="right").tolist()
    return [runs[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]

"""Packs the boxes of charts on shelves, where there are too many charts for `packing` to look at their shapes."""

from __future__ import annotations

import numpy as np

ROUNDS = 24  # of the bisection for the scale


def pack_boxes(flat: np.ndarray, chart: np.ndarray, padding: float) -> np.ndarray:
    """(m, 3, 2) float64 in [0, 1]: the corners of the faces, one scale for all charts.

    flat : (m, 3, 2) float64, each chart from 0 and wider than high; chart : (m,) int from 0; padding : as `packing.pack`
    """
    sides = np.zeros((int(chart.max()) + 1, 2))
    np.maximum.at(sides, chart, flat.max(axis=1))
    order = np.lexsort((-sides[:, 0], -sides[:, 1]))
    while _shelves(0 * sides[order], padding) is None:
        padding *= 0.5
    low, high = 0.0, 1.0 / max(float(sides.max()), 1e-30)
    corners = _shelves(0 * sides[order], padding)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        trial = _shelves(middle * sides[order], padding)
        if trial is None:
            high = middle
        else:
            low, corners = middle, trial
    placed = np.empty_like(sides)
    placed[order] = corners
    return np.clip(flat * low + placed[chart][:, None], 0.0, 1.0)


def _shelves(boxes: np.ndarray, gap: float) -> np.ndarray | None:
    """(k, 2) lower corners of boxes (k, 2) laid from left to right on shelves in the unit square, highest first; None if too many."""
    ends = np.cumsum(boxes[:, 0] + gap)
    corners = np.empty_like(boxes)
    begin, top = 0, gap / 2
    while begin < len(boxes):
        offset = ends[begin - 1] if begin else 0.0
        stop = int(np.searchsorted(ends, offset + 1.0, side="right"))
        bottom = top + boxes[begin, 1] + gap
        if stop == begin or bottom - gap / 2 > 1.0:
            return None
        corners[begin:stop, 0] = ends[begin:stop] - boxes[begin:stop, 0] - offset - gap / 2
        corners[begin:stop, 1] = top
        begin, top = stop, bottom
    return corners

"""Charts in the square: of one scale, apart from one another, by their shape or by their boxes."""

import numpy as np
import pytest

from meshwright.runtime.texture.packing import flat_area, pack
from meshwright.runtime.texture.shelves import pack_boxes

SQUARE = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float64)  # edges 0, 1, 4 and 5 are its border


def squares(sides):
    """Squares as charts, two faces each; their corners, charts and outlines."""
    flat = np.concatenate([SQUARE * side for side in sides])
    border = (6 * np.arange(len(sides))[:, None] + [0, 1, 4, 5]).ravel()
    return flat, np.repeat(np.arange(len(sides)), 2), border


def gaps(placed, chart):
    """The distances between the boxes of any two charts, along the axis in which they are further apart."""
    count = int(chart.max()) + 1
    low = np.array([placed[chart == c].min(axis=(0, 1)) for c in range(count)])
    high = np.array([placed[chart == c].max(axis=(0, 1)) for c in range(count)])
    apart = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    return apart[~np.eye(count, dtype=bool)]


def test_four_squares_fill_the_square():
    flat, chart, outline = squares([1, 1, 1, 1])
    placed = pack(flat, chart, outline, 1 / 128)
    assert placed.min() >= 0 and placed.max() <= 1 and flat_area(placed) > 0.8
    assert gaps(placed, chart).min() >= 1 / 128 - 1e-9


def test_shapes_keep_theirs_and_small_ones_go_where_there_is_room():
    flat, chart, outline = squares([8, 4, 4, 2, 2, 1, 1, 1, 1])
    placed = pack(flat, chart, outline, 1 / 256)
    sides = np.linalg.norm(placed[::2, 1] - placed[::2, 0], axis=1)
    np.testing.assert_allclose(sides / sides[0], np.array([8, 4, 4, 2, 2, 1, 1, 1, 1]) / 8, atol=1e-9)
    assert gaps(placed, chart).min() >= 1 / 256 - 1e-9 and flat_area(placed) > 0.6


def test_a_bar_lies_in_the_elbow_of_another_chart():
    """An L of 3 x 3 less 2 x 2, and a square of 1.8: by their boxes they would need more than twice the square's area."""
    cells = [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2)]
    elbow = np.concatenate([SQUARE + cell for cell in cells])
    flat = np.concatenate([elbow, 1.8 * SQUARE])
    chart = np.repeat([0, 1], [len(elbow), 2])
    placed = pack(flat, chart, np.arange(3 * len(flat)), 1 / 128)
    assert flat_area(placed) > 0.65
    by_boxes = pack_boxes(flat, chart, 1 / 128)
    assert flat_area(placed) > 1.5 * flat_area(by_boxes)


@pytest.mark.parametrize("count", [1, 30])
def test_a_chart_without_area_takes_a_place(count):
    flat, chart = np.zeros((count, 3, 2)), np.arange(count)
    placed = pack(flat, chart, np.arange(3 * count), 1 / 64)
    assert np.isfinite(placed).all() and len(np.unique(placed[:, 0], axis=0)) == count


def test_boxes_on_shelves():
    flat, chart, _ = squares([1] * 100)
    placed = pack_boxes(flat, chart, 0.01)
    assert placed.min() >= 0 and placed.max() <= 1 and flat_area(placed) > 0.7
    assert gaps(placed, chart).min() >= 0.01 - 1e-9

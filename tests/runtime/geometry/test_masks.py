"""Masks that are grown by a pixel."""

import numpy as np

from meshwright.runtime.geometry.masks import grown


def test_a_pixel_grows_to_a_cross_or_a_square_and_not_over_the_border():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, 1, 1] = masks[1, 3, 3] = True
    cross, square = grown(masks), grown(masks, corners=True)
    assert cross[0].astype(int).tolist() == [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert square[0].astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert cross[1].sum() == 3 and square[1].sum() == 4 and masks.sum() == 2

"""From a saliency to a matte."""

import numpy as np

from meshwright.runtime.images.clean_matte import clean_matte, fill_pinholes, remove_specks


def block(top, bottom, left, right, size=100):
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_specks_go_and_parts_stay():
    object_, part, speck = block(20, 60, 20, 60), block(70, 90, 20, 60), block(0, 5, 90, 95)
    np.testing.assert_array_equal(remove_specks(object_ | part | speck), object_ | part)
    assert not remove_specks(np.zeros((5, 5), bool)).any()


def test_pinholes_are_filled_and_holes_stay():
    object_, pinhole, hole = block(20, 80, 20, 80), block(30, 31, 30, 32), block(40, 60, 40, 60)
    np.testing.assert_array_equal(fill_pinholes(object_ & ~pinhole & ~hole), object_ & ~hole)


def test_a_soft_edge_becomes_steeper_and_haze_goes():
    saliency = np.where(block(20, 80, 20, 80), 0.95, 0.1).astype(np.float32)
    saliency[19, 20:80] = 0.5  # half sure, next to what is sure
    saliency[50, 95] = 0.45  # not sure, far away
    matte = clean_matte(saliency)
    assert matte.dtype == np.uint8 and 100 < matte[19, 50] < 155 and matte[50, 95] == 0 and matte[5, 5] == 0
    assert (matte[20:80, 20:80] == 255).all()


def test_what_was_filled_is_solid():
    saliency = np.where(block(20, 80, 20, 80), 1, 0).astype(np.float32)
    saliency[50, 50] = 0
    assert clean_matte(saliency)[50, 50] == 255


def test_nothing_sure_is_nothing():
    assert not clean_matte(np.full((20, 20), 0.49, np.float32)).any()

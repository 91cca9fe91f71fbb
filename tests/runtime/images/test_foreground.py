"""The square around an object."""

import numpy as np
import pytest

from meshwright.runtime.images import Foreground, crop_object


def found(shape, top, bottom, left, right, source="network"):
    matte = np.zeros(shape, np.uint8)
    matte[top:bottom, left:right] = 255
    rgba = np.dstack([np.full((*shape, 3), 90, np.uint8), matte])
    rgba[top, left, :3] = (1, 2, 3)
    return Foreground(rgba, matte, source, 0.0)


@pytest.mark.parametrize(("box", "side"), [((10, 95, 40, 60), 100), ((40, 60, 10, 95), 100), ((0, 100, 0, 100), 118)])
def test_the_longer_side_is_085_of_the_square(box, side):
    picture = crop_object(found((100, 100), *box))
    assert picture.pixels.shape == (side, side, 4)
    rows, columns = np.nonzero(picture.pixels[..., 3])
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (box[1] - box[0], box[3] - box[2])
    for low, high in ((rows.min(), rows.max()), (columns.min(), columns.max())):
        assert abs(low - (side - 1 - high)) <= 1  # in the middle
    assert picture.pixels[rows[0], columns[0]].tolist() == [1, 2, 3, 255]


def test_the_ratio_can_be_another():
    assert crop_object(found((50, 50), 10, 30, 10, 20), ratio=0.5).pixels.shape == (40, 40, 4)
    assert crop_object(found((50, 50), 10, 30, 10, 20), ratio=1.0).pixels.shape == (20, 20, 4)


def test_haze_around_the_object_does_not_move_the_crop():
    foreground = found((100, 100), 10, 95, 40, 60)
    foreground.matte[:5] = 60
    assert crop_object(foreground).pixels.shape == (100, 100, 4)


def test_what_is_half_clear_is_kept_where_it_lies_within_the_square():
    """Hair, glass and the soft edge of a shadow do not count for the crop, and are not cut off by it."""
    foreground = found((100, 100), 10, 95, 40, 60)  # a square of 100: rows 3 to 102, columns 0 to 99
    foreground.matte[40:60, 20:40] = 60
    foreground.matte[:5, 50] = 60
    foreground.rgba[..., 3] = foreground.matte
    picture = crop_object(foreground).pixels
    assert picture.shape == (100, 100, 4)
    assert (picture[37:57, 20:40, 3] == 60).all() and (picture[:2, 50, 3] == 60).all()
    assert (picture[7:92, 40:60, 3] == 255).all() and picture[92:, :, 3].max() == 0
    assert np.count_nonzero(picture[..., 3]) == 85 * 20 + 20 * 20 + 2


def test_a_picture_that_is_taken_as_it_is_is_not_cropped():
    foreground = found((30, 50), 10, 20, 10, 20, source="none")
    np.testing.assert_array_equal(crop_object(foreground).pixels, foreground.rgba)

import numpy as np

from meshwright.export.props.world import pictures
from meshwright.export.props.world.world import make_prop

SEED = 50_200_000


def extent(picture):
    """Rows and columns (top, bottom, left, right) of what is not white."""
    seen = (picture < 200).any(axis=-1)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_the_object_is_cut_out_in_the_middle_at_its_ratio():
    photo, matte = np.zeros((60, 80, 3)), np.zeros((60, 80))
    matte[10:30, 40:50] = 1
    picture = pictures.cropped(photo, matte, 100, 0.8)
    top, bottom, left, right = extent(picture)
    assert abs(bottom - top - 80) <= 3 and abs(right - left - 40) <= 3
    assert abs((top + bottom) / 2 - 50) <= 2 and abs((left + right) / 2 - 50) <= 2
    assert (picture[0] == 255).all()


def test_an_object_may_be_cropped_beyond_the_photo():
    picture = pictures.cropped(np.zeros((20, 20, 3)), np.ones((20, 20)), 40, 0.5)
    assert extent(picture) == (10, 30, 10, 30)


def test_a_spoiled_matte_keeps_most_of_the_object():
    cover = np.zeros((96, 96))
    cover[20:70, 30:80] = 1
    for seed in range(20):
        matte = pictures.spoiled(cover, np.random.default_rng(seed))
        assert matte.min() >= 0 and matte.max() <= 1
        assert ((matte > 0.5) & (cover > 0.5)).sum() / ((matte > 0.5) | (cover > 0.5)).sum() > 0.75


def test_a_picture_comes_again_from_its_seed_and_shows_the_prop():
    prop = make_prop(SEED)
    one, two = (pictures.random_picture(prop, 70.0, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (128, 128, 3) and one.dtype == np.uint8
    top, bottom, left, right = extent(one)
    assert 90 < max(bottom - top, right - left) <= 124

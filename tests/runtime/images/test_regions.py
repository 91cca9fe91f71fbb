"""Connected regions, against a flood fill written the plain way."""

import numpy as np
import pytest

from meshwright.runtime.images.clean_matte import regions


def flooded(mask):
    """Labels by a flood fill, pixel by pixel."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in np.argwhere(mask):
        if labels[tuple(start)]:
            continue
        count, waiting = count + 1, [tuple(start)]
        while waiting:
            y, x = waiting.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                waiting += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


def spiral(size):
    """A path one pixel wide that winds inwards: as long a way as a region can have."""
    mask, y, x, dy, dx = np.zeros((size, size), bool), 0, 0, 0, 1
    mask[0, 0] = True
    for _ in range(2 * size):
        while 0 <= y + dy < size and 0 <= x + dx < size and not mask[y + dy, x + dx] and not (
                0 <= y + 2 * dy < size and 0 <= x + 2 * dx < size and mask[y + 2 * dy, x + 2 * dx]):
            y, x = y + dy, x + dx
            mask[y, x] = True
        dy, dx = dx, -dy
    return mask


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.9])
def test_random_masks(share):
    mask = np.random.default_rng(0).random((40, 30)) < share
    labels, sizes = regions(mask)
    expected = flooded(mask)
    assert len(np.unique(np.stack([labels, expected]).reshape(2, -1), axis=1).T) == len(sizes) == expected.max() + 1
    assert sizes[0] == 0 and sizes.sum() == mask.sum() and sizes.tolist()[1:] == [(labels == i).sum() for i in range(1, len(sizes))]


def test_one_long_way_is_one_region():
    mask = spiral(61)
    assert mask.sum() > 1500 and regions(mask)[1].tolist() == [0, mask.sum()]


def test_corners_connect_and_rows_do_not_wrap():
    assert regions(np.eye(5, dtype=bool))[1].tolist() == [0, 5]
    mask = np.zeros((2, 4), bool)
    mask[0, 3] = mask[1, 0] = True
    assert regions(mask)[1].tolist() == [0, 1, 1]


@pytest.mark.parametrize("shape", [(3, 4), (1, 1)])
def test_nothing_and_everything(shape):
    assert regions(np.zeros(shape, bool))[1].tolist() == [0]
    assert regions(np.ones(shape, bool))[1].tolist() == [0, shape[0] * shape[1]]

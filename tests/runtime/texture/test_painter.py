"""From texels to a whole texture: gutters, empty space, and strips that give the same bytes as the whole."""

import numpy as np
import pytest

from meshwright.runtime.texture.atlas import Atlas
from meshwright.runtime.texture.painter import GUTTER, Painter


def atlas_of(size, rows, texel):
    """Texels without a surface."""
    nothing = np.zeros((len(texel), 3), np.float32)
    return Atlas(size, rows, texel, np.zeros(len(texel), np.int32), nothing, nothing, nothing)


def painted(size, texel, colors, height=None):
    painter, height = Painter(size), height or size
    for first in range(0, size, height):
        rows = (first, first + height)
        inside = (texel >= first * size) & (texel < (first + height) * size)
        painter.add(atlas_of(size, rows, texel[inside]), colors[inside])
    return painter.finish()


def test_one_texel_colours_everything():
    texture = painted(64, np.array([64 * 20 + 9]), np.array([[1.0, 0.5, 0.2]], np.float32))
    assert (texture == [255, 128, 51]).all()


def test_no_texel_at_all_is_black():
    assert not painted(16, np.zeros(0, np.int64), np.zeros((0, 3), np.float32)).any()


def test_the_border_is_repeated_outwards():
    """Two columns, black and white: each is repeated four texels to its side."""
    size, rows = 64, np.arange(64) * 64
    texel = np.sort(np.concatenate([rows + 31, rows + 32]))
    texture = painted(size, texel, np.tile(np.float32([[0, 0, 0], [1, 1, 1]]), (64, 1)))
    assert (texture[:, 31 - GUTTER:32] == 0).all() and (texture[:, 32:33 + GUTTER] == 255).all()


def test_empty_space_takes_the_smallest_mip_level_that_knows_it():
    """A square of 16 with one texel of 1 in the top left and one of 0 in the bottom right corner: gutters reach four texels
    along the rows and columns (13 + 2 texels each); what is left of a quarter takes its colour, the other quarters the mean.
    """
    texture = painted(16, np.array([0, 255]), np.float32([[1, 1, 1], [0, 0, 0]]))[..., 0]
    assert (texture[:8, :8] == 255).all() and (texture[8:, 8:] == 0).all()
    assert (texture[:8, 8:] == 128).all() and (texture[8:, :8] == 128).all()


@pytest.mark.parametrize("height", [2, 8, 32])
@pytest.mark.parametrize("share", [0.003, 0.3, 1.0])
def test_strips_give_the_same_bytes(height, share):
    """Strips that are smaller than a gutter, too."""
    rng = np.random.default_rng(0)
    texel = np.flatnonzero(rng.random(64 * 64) < share)
    colors = rng.random((len(texel), 3), np.float32)
    np.testing.assert_array_equal(painted(64, texel, colors, height), painted(64, texel, colors))


def test_the_first_strips_may_be_empty():
    texel, colors = np.array([64 * 60]), np.float32([[1, 0, 0]])
    np.testing.assert_array_equal(painted(64, texel, colors, 8), painted(64, texel, colors))

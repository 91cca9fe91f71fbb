"""A colour field on a large texture: few points are asked, and every texel is as if it had been asked."""

import numpy as np
import pytest

from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture.atlas import atlas_strips, make_atlas
from meshwright.runtime.texture.bake import bake_field
from meshwright.runtime.texture.smooth_bake import bake_smooth_field
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import position_colors, sphere

# A square of 64 x 64 texels; y and z go from 0 to 1, to the right and up.
SQUARE = Mesh(np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]], np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32),
              uvs=np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)).with_normals()


class Field:
    """A field of one channel, three times, that counts the points it is asked for."""

    def __init__(self, value):
        self.value, self.asked = value, 0

    def __call__(self, points):
        self.asked += len(points)
        return np.repeat(self.value(points)[:, None], 3, axis=1).astype(np.float32)


def test_a_gentle_slope_is_interpolated():
    """A hundredth over the square: eight texels differ by 0.00125, which is less than three levels. 64 blocks of four corners."""
    field = Field(lambda points: 0.5 + 0.01 * points[:, 1])
    atlas = make_atlas(SQUARE, 64)
    baked = bake_smooth_field(atlas, field)
    assert field.asked == 64 * 4 and (baked.weight == 1).all()
    np.testing.assert_allclose(baked.colors[:, 0], 0.5 + 0.01 * atlas.position[:, 1], atol=1e-6)


def test_a_steep_slope_is_asked_everywhere():
    """From 0 to 1 in 64 texels: four of them differ by 0.047, or 12 levels."""
    field = Field(lambda points: points[:, 1])
    baked = bake_smooth_field(make_atlas(SQUARE, 64), field)
    assert field.asked == 64 * 64
    np.testing.assert_array_equal(baked.colors, bake_field(make_atlas(SQUARE, 64), field).colors)


def test_an_edge_is_as_sharp_as_the_field():
    """The left 30 columns are black, the others white: column 30 lies inside of the fourth eight (24 to 31), in its second four.

    Of eight columns of blocks, seven are asked for four corners a block. Each block of the other one is asked for the corners
    of its two left fours, which agree, and for every texel of its two right ones: 8 + 32, its own corners among them.
    """
    field = Field(lambda points: points[:, 1] > 30 / 64)
    atlas = make_atlas(SQUARE, 64)
    baked = bake_smooth_field(atlas, field)
    np.testing.assert_allclose(baked.colors[:, 0], atlas.texel % 64 >= 30, atol=1e-6)
    assert field.asked == 8 * (7 * 4 + 2 * 4 + 2 * 16)


def test_charts_in_strips():
    """Curved, with seams and gaps: within two levels of what is asked for every texel, however it is cut."""
    mesh = unwrap(split_at_creases(sphere()), 256).mesh
    whole = bake_smooth_field(make_atlas(mesh, 256), position_colors).colors
    strips = [bake_smooth_field(atlas, position_colors).colors for atlas in atlas_strips(mesh, 256, 16)]
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    assert np.abs(whole - bake_field(make_atlas(mesh, 256), position_colors).colors).max() * 255 < 2


@pytest.mark.parametrize("height", [8, 16])
def test_a_strip_without_texels(height):
    corner = SQUARE.replace(uvs=SQUARE.uvs / 4)
    colors = [bake_smooth_field(atlas, position_colors).colors for atlas in atlas_strips(corner, 64, height)]
    assert sum(map(len, colors)) == 16 * 16 and len(colors[-1]) == 0

import numpy as np
import pytest

from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.render import render_views, sample_image
from meshwright.runtime.texture.atlas import make_atlas
from meshwright.runtime.texture.bake import Baked, Sight, bake_field, bake_views, blend, poorly_seen
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import box, fill_unseen, joined, letter_f, position_colors, sphere, to_texture

SIZE = 128
RED, BLUE, WHITE = (200, 20, 20), (20, 20, 200), (255, 255, 255)


def prepared(mesh, size=SIZE):
    mesh = unwrap(split_at_creases(mesh), size).mesh
    return mesh, make_atlas(mesh, size)


def painted(mesh, color):
    return mesh.replace(colors=np.tile(np.array(color, np.uint8), (len(mesh.vertices), 1)))


def test_the_field_gives_each_texel_its_colour():
    _, atlas = prepared(sphere())
    sizes = []

    def query(points):
        sizes.append(len(points))
        return position_colors(points) * 2  # beyond the range: clipped

    baked = bake_field(atlas, query)
    assert np.allclose(baked.colors, (position_colors(atlas.position) * 2).clip(0, 1))
    assert (baked.weight == 1).all() and max(sizes) <= 65_536
    part = bake_field(atlas, position_colors, np.array([3, 5]))
    assert np.flatnonzero(part.weight).tolist() == [3, 5]


def test_views_give_the_colours_that_they_were_rendered_from():
    mesh, atlas = prepared(letter_f(detail=6), 256)
    colored = mesh.replace(colors=(position_colors(mesh.vertices) * 255).astype(np.uint8))
    views = render_views(colored, orbit(), 128)
    baked = bake_views(atlas, Sight.of(mesh, views, orbit()))
    error = np.abs(baked.colors - position_colors(atlas.position))[baked.weight > 0.02]
    assert (baked.weight > 0.02).mean() > 0.75
    assert error.mean() < 0.01 and np.percentile(error, 99) < 0.09


def test_the_light_is_taken_out():
    mesh, atlas = prepared(sphere())
    views = render_views(painted(mesh, RED), orbit(), 128)
    colors = fill_unseen(atlas, mesh, bake_views(atlas, Sight.of(mesh, views, orbit())))
    assert np.allclose(colors * 255, RED, atol=6)
    lit = bake_views(atlas, Sight.of(mesh, views, orbit()), lit=False)
    dark = lit.colors[(lit.weight > 0.3) & (atlas.normal @ [0.35, 0.5, 0.8] < 0), 0]
    assert np.allclose(dark * 255, 200 * 0.55, atol=3)


def test_what_is_in_front_does_not_paint_what_is_behind():
    wall, screen = box((0.1, 1.2, 1.2), (-0.4, 0, 0)), box((0.1, 0.5, 0.5), (0.4, 0, 0))
    both = joined(painted(wall, BLUE), painted(screen, RED))
    colors = np.concatenate([painted(wall, BLUE).colors, painted(screen, RED).colors])
    cameras = orbit([0.0], [0.0])
    views = render_views(split_at_creases(both.replace(colors=colors)), cameras, 128)
    mesh, atlas = prepared(both)
    baked = bake_views(atlas, Sight.of(mesh, views, cameras))
    on_wall = atlas.position[:, 0] < 0
    behind = on_wall & (np.abs(atlas.position[:, 1:]) < 0.2).all(axis=1)
    assert (baked.weight[behind] == 0).all()
    assert (baked.weight[atlas.normal[:, 0] < 0.05] == 0).all()
    seen = baked.weight > 1e-2
    assert np.allclose(baked.colors[seen & on_wall] * 255, BLUE, atol=12)
    assert np.allclose(baked.colors[seen & ~on_wall] * 255, RED, atol=12)


def test_the_background_does_not_bleed_where_picture_and_mesh_differ():
    mesh, atlas = prepared(sphere(0.6))
    views = render_views(painted(sphere(0.56), RED), orbit(), 128)  # the pictures show a smaller object
    colors = fill_unseen(atlas, mesh, bake_views(atlas, Sight.of(mesh, views, orbit())))
    assert colors[:, 1:].max() < 0.3
    assert np.median(colors[:, 1]) < 0.1


def test_a_white_object_stays_white():
    mesh, atlas = prepared(sphere())
    views = render_views(painted(mesh, WHITE), orbit(), 128)
    colors = fill_unseen(atlas, mesh, bake_views(atlas, Sight.of(mesh, views, orbit())))
    assert colors.min() > 0.9


def test_a_blade_two_pixels_wide_has_its_colour():
    blade, grip = box((0.03, 0.05, 1.2), (0, 0, 0.2)), box((0.2, 0.2, 0.3), (0, 0, -0.55))
    colors = np.concatenate([painted(blade, BLUE).colors, painted(grip, RED).colors])
    both = joined(blade, grip)
    views = render_views(split_at_creases(both.replace(colors=colors)), orbit(), 128)
    mesh, atlas = prepared(both, 256)
    baked = fill_unseen(atlas, mesh, bake_views(atlas, Sight.of(mesh, views, orbit())))
    on_blade = baked[atlas.position[:, 2] > -0.2]
    assert (on_blade[:, 2] - on_blade[:, 0]).mean() > 0.4
    assert (on_blade[:, 2] > on_blade[:, 0] + 0.1).mean() > 0.99


def test_unseen_texels_take_the_colour_next_to_them():
    mesh, atlas = prepared(sphere(subdivisions=4))
    half = mesh.replace(colors=np.where(mesh.vertices[:, 1:2] < 0, RED, BLUE).astype(np.uint8))
    cameras = orbit([0.0], [0.0])
    baked = bake_views(atlas, Sight.of(mesh, render_views(half, cameras, 128), cameras))
    colors = fill_unseen(atlas, mesh, baked)
    unseen = baked.weight == 0
    left = unseen & (atlas.position[:, 1] < -0.25)
    right = unseen & (atlas.position[:, 1] > 0.25)
    assert unseen.mean() > 0.4
    assert (colors[left, 0] > colors[left, 2]).all() and (colors[right, 2] > colors[right, 0]).all()


def test_what_nothing_saw_is_grey_or_the_mean():
    mesh, atlas = prepared(joined(sphere(0.3), sphere(0.1)))
    nothing = Baked(np.zeros((len(atlas.texel), 3), np.float32), np.zeros(len(atlas.texel), np.float32))
    assert np.allclose(fill_unseen(atlas, mesh, nothing), 0.5)
    inner = np.linalg.norm(atlas.position, axis=1) < 0.2
    outer = Baked(np.where(inner[:, None], 0, [0.2, 0.4, 0.6]).astype(np.float32), 1.0 - inner.astype(np.float32))
    assert np.allclose(fill_unseen(atlas, mesh, outer), [0.2, 0.4, 0.6], atol=1e-5)


def test_blend_takes_views_where_they_see_and_the_field_elsewhere():
    mesh, atlas = prepared(sphere())
    cameras = orbit([0.0], [0.0])
    views = bake_views(atlas, Sight.of(mesh, render_views(painted(mesh, RED), cameras, 128), cameras))
    field = bake_field(atlas, lambda points: np.tile(np.float32([0, 0, 1]), (len(points), 1)), poorly_seen(views))
    both = blend(views, field)
    assert (both.weight > 0).all()
    assert np.allclose(both.colors[views.weight > 0.3] * 255, RED, atol=25)
    assert np.allclose(both.colors[views.weight == 0], [0, 0, 1])


def test_a_view_of_one_side_lands_on_that_side():
    """Red is on the left of the picture, blue on the right, green at the top."""
    mesh, atlas = prepared(box((1.0, 1.0, 1.0)))
    picture = np.full((1, 128, 128, 3), 0.1, np.float32)
    picture[0, :, :64, 0] = picture[0, :, 64:, 2] = picture[0, :64, :, 1] = 0.9
    baked = bake_views(atlas, Sight.of(mesh, picture, orbit([0.0], [0.0])), lit=False)
    front = (atlas.normal[:, 0] > 0.99) & (np.abs(atlas.position[:, 1:]) > 0.05).all(axis=1)
    front &= (np.abs(atlas.position[:, 1:]) < 0.4).all(axis=1)
    y, z = atlas.position[front, 1], atlas.position[front, 2]
    expected = 0.1 + 0.8 * np.stack([y < 0, z > 0, y > 0], 1)
    assert front.any() and np.allclose(baked.colors[front], expected, atol=0.02)


def test_samples_are_bilinear():
    image = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    uv = np.array([[0.25, 0.25], [0.5, 0.5], [1.0, 1.0], [0.0, 0.75]])
    assert np.allclose(sample_image(image, uv)[:, 0], [0, 4.5, 9, 6])


@pytest.mark.parametrize("size", [64, 256])
def test_the_texture_has_a_gutter_and_no_empty_space(size):
    mesh, atlas = prepared(sphere(), size)
    texture = to_texture(atlas, np.tile(np.float32([1.0, 0.5, 0.25]), (len(atlas.texel), 1)))
    assert texture.shape == (size, size, 3) and texture.dtype == np.uint8
    assert (texture == [255, 128, 64]).all()
    colors = position_colors(atlas.position)
    texture = to_texture(atlas, colors)
    assert np.abs(texture.reshape(-1, 3)[atlas.texel] - colors * 255).max() <= 0.51

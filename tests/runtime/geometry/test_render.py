import numpy as np
import pytest

from meshwright.runtime.geometry.cameras import orbit, project
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.render import LIGHT, brightness, grid, preview, render_views, sample_texture, split_grid
from meshwright.runtime.geometry.shading import Shading


def box(low, high, color=None):
    """A closed box with its own vertices on each side, so that its normals are exact."""
    vertices, faces = [], []
    for axis in range(3):
        for side in range(2):
            first = len(vertices)
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corner = np.empty(3)
                corner[axis], corner[u], corner[v] = (low, high)[side][axis], (low, high)[a][u], (low, high)[b][v]
                vertices.append(corner)
            quad = [first + k for k in ((0, 1, 2, 3) if side else (0, 3, 2, 1))]
            faces += [quad[:3], [quad[0], quad[2], quad[3]]]
    colors = None if color is None else np.tile(np.array(color, np.uint8), (len(vertices), 1))
    return Mesh(np.array(vertices, np.float32), np.array(faces, np.int32), colors=colors)


def joined(meshes):
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]).astype(np.int32),
        colors=np.concatenate([mesh.colors for mesh in meshes]))


@pytest.fixture(scope="module")
def marked():
    """A grey block with a red knob at the front (+x), a green one at +y and a blue one on top (+z)."""
    return joined([
        box((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3), (128, 128, 128)),
        box((0.3, -0.1, -0.1), (0.6, 0.1, 0.1), (255, 0, 0)),
        box((-0.1, 0.3, -0.1), (0.1, 0.6, 0.1), (0, 255, 0)),
        box((-0.1, -0.1, 0.3), (0.1, 0.1, 0.6), (0, 0, 255))])


def test_shading_is_the_shared_formula():
    assert np.linalg.norm(LIGHT) == pytest.approx(1)
    np.testing.assert_allclose(LIGHT, np.array([0.35, 0.5, 0.8]) / 1.0062306, rtol=1e-5)
    np.testing.assert_allclose(brightness(np.stack([LIGHT, -LIGHT])), [1.0, 0.55], rtol=1e-6)


def test_asymmetric_object_is_not_mirrored(marked):
    cameras = orbit([0, 90, 180], [0, 0, 0])
    views = render_views(marked, cameras, 48)
    tips = np.array([[0.6, 0, 0], [0, 0.6, 0], [0, 0, 0.6]])
    uv, _ = project(cameras, tips)
    front = views[0]
    assert front[24, 24].argmax() == 0 and front[24, 24, 0] - front[24, 24, 1] > 0.4, "red faces the front camera"
    green = (front[..., 1] - front[..., 0] > 0.3).nonzero()
    assert green[1].min() > 24, "+y is on the right of the front view"
    assert green[1].max() + 1 == pytest.approx(uv[0, 1, 0] * 48, abs=1.5)
    blue = (front[..., 2] - front[..., 0] > 0.3).nonzero()
    assert blue[0].max() < 24 and blue[0].min() == pytest.approx(uv[0, 2, 1] * 48, abs=1.5)
    assert views[1][24, 24].argmax() == 1, "green faces the camera at azimuth 90"
    back = (views[2][..., 1] - views[2][..., 0] > 0.3).nonzero()
    assert back[1].max() < 24, "from behind, +y is on the left"


def test_colour_times_brightness_on_white(marked):
    view = render_views(marked, orbit([90], [0]), 32)[0]
    np.testing.assert_allclose(view[16, 16], [0, brightness(np.array([0, 1, 0], np.float32)), 0], atol=1e-5)
    assert (view[0] == 1).all()
    bare = render_views(marked, orbit([90], [0]), 32, shaded=False, background=0.0)[0]
    np.testing.assert_allclose(bare[16, 16], [0, 1, 0], atol=1e-6)
    assert (bare[0] == 0).all()


def test_views_in_the_light_of_a_pack(marked):
    shading = Shading(0.3, 0.7, (0.0, -0.6, 0.8), two_sided=True, linear=True)
    view = render_views(marked, orbit([90], [0]), 32, shading=shading)[0]
    # The green end of the +y knob: |n . l| = 0.6, so 0.72 in linear light, 0.86504 in sRGB.
    np.testing.assert_allclose(view[16, 16], [0, 0.86504, 0], atol=1e-4)
    assert (view[0] == 1).all(), "the background is not shaded"


@pytest.mark.parametrize("linear, middle", [(False, 0.5), (True, 0.735357)])
def test_vertex_colours_mix_in_the_light_of_a_pack(linear, middle):
    """Halfway from black to white: half the light, which is 0.735 in sRGB, or half the number."""
    corners = np.array([[0, -0.5, 0.5], [0, 0.5, 0.5], [0, 0.5, -0.5], [0, -0.5, -0.5]], np.float32)
    colors = np.array([[0] * 3, [255] * 3, [255] * 3, [0] * 3], np.uint8)
    mesh = Mesh(corners, np.array([[0, 2, 1], [0, 3, 2]], np.int32), colors=colors)
    light = Shading(1.0, 0.0, (0.0, 0.0, 1.0), two_sided=True, linear=linear)
    view = render_views(mesh, orbit([0], [0]), 33, supersample=1, shading=light)[0]
    np.testing.assert_allclose(view[16, 16], [middle] * 3, atol=1e-3)


def test_supersampling_softens_the_outline(marked):
    hard = render_views(marked, orbit([90], [0]), 20, supersample=1)
    soft = render_views(marked, orbit([90], [0]), 20, supersample=4)
    assert hard.shape == soft.shape and soft.dtype == np.float32
    np.testing.assert_allclose(hard.mean(), soft.mean(), atol=0.02)
    assert len(np.unique(soft.round(4))) > len(np.unique(hard.round(4)))


def test_texture_is_multiplied_by_vertex_colours_in_linear_light_and_is_upright():
    texture = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    corners = np.array([[0, -0.5, 0.5], [0, 0.5, 0.5], [0, 0.5, -0.5], [0, -0.5, -0.5]], np.float32)
    mesh = Mesh(
        corners, np.array([[0, 2, 1], [0, 3, 2]], np.int32), texture=texture,
        uvs=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32))
    # sRGB 188 is 0.503 of the light of 255, and the product of two of them, 0.253, is sRGB 137.
    grey = np.full((4, 3), 188, np.uint8)
    for colors, texel, seen in ((None, 1, 1), (grey, 1, 188 / 255), (grey, 188 / 255, 137 / 255)):
        dimmed = mesh.replace(texture=np.rint(texture * texel).astype(np.uint8), colors=colors)
        view = render_views(dimmed, orbit([0], [0]), 64, shaded=False)[0]
        top_left, top_right, bottom_left = view[22, 22], view[22, 42], view[42, 22]
        np.testing.assert_allclose([top_left, top_right, bottom_left], seen * np.eye(3), atol=0.12)
        np.testing.assert_allclose(np.diag([top_left, top_right, bottom_left]), seen, atol=0.01)


def test_texture_samples_are_bilinear_and_clamped():
    texture = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    values = sample_texture(texture, np.array([[0.25, 0.5], [0.5, 0.5], [0.75, 0.5], [0, 0], [1, 1]], np.float32))
    np.testing.assert_allclose(values[:, 0], [0, 0.5, 1, 0, 1], atol=1e-6)


def test_grid_and_back():
    views = np.random.default_rng(0).random((6, 4, 5, 3), np.float32)
    picture = grid(views, 3, 2)
    assert picture.shape == (12, 10, 3)
    np.testing.assert_array_equal(picture[4:8, 5:10], views[3])
    np.testing.assert_array_equal(split_grid(picture, 3, 2), views)


def test_preview_frames_any_size(marked):
    small = preview(marked, 40)
    large = preview(marked.replace(vertices=marked.vertices * 50 + 7), 40)
    assert small.shape == (40, 80, 3)
    np.testing.assert_allclose(small, large, atol=0.05)
    covered = (small < 0.99).any(axis=2)
    assert covered[:, :40].any() and covered[:, 40:].any() and not covered[0].any() and not covered[-1].any()


def test_empty_mesh_gives_the_background():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert (render_views(empty, orbit(), 8) == 1).all() and (preview(empty, 8) == 1).all()


@pytest.mark.parametrize("threads", [2, None])
def test_views_that_are_rendered_at_a_time_are_the_same(marked, threads):
    cameras = orbit()
    np.testing.assert_array_equal(render_views(marked, cameras, 32, threads=threads), render_views(marked, cameras, 32))


def test_only_where_the_mesh_is_seen_are_rays_cast_and_no_pixel_is_missed(monkeypatch, marked):
    """The same pixels as with rays through the whole picture; and a mesh beside the picture, or around the camera, as well."""
    from meshwright.runtime.geometry import render

    def views():
        beside, around = marked.replace(vertices=marked.vertices + np.float32([0, 9, 0])), marked.replace(vertices=marked.vertices * 20)
        return [render_views(mesh, orbit(), 32) for mesh in (marked, beside, around)]

    framed = views()
    monkeypatch.setattr(render, "_outline", lambda mesh, camera, size: (0, size, 0, size))
    for one, other in zip(framed, views(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (framed[0] < 1).any() and (framed[1][0] == 1).all()

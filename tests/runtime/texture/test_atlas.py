import numpy as np
import pytest

from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture.atlas import atlas_strips, make_atlas, rasterize, strip_height
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import sphere


def fan(count, size):
    """Triangles that part the unit square around a point inside, with corners off the texel grid."""
    rng = np.random.default_rng(3)
    ring = np.sort(rng.uniform(0, 4, count))
    ring = np.unique(np.concatenate([ring, [0, 1, 2, 3]]))
    side, along = ring.astype(int), ring % 1
    border = np.select([side[:, None] == k for k in range(4)], [
        np.stack([along, 0 * along], 1), np.stack([0 * along + 1, along], 1),
        np.stack([1 - along, 0 * along + 1], 1), np.stack([0 * along, 1 - along], 1)])
    middle = np.tile(rng.uniform(0.3, 0.7, 2), (len(border), 1))
    return np.stack([middle, border, np.roll(border, -1, 0)], 1)


@pytest.mark.parametrize("count", [0, 50, 400])
def test_neighbours_cover_each_texel_once(count):
    texel = rasterize(fan(count, 64), 64)[1]
    assert np.array_equal(np.sort(texel), np.arange(64 * 64))


def test_a_texel_belongs_to_the_face_over_its_centre():
    triangles = np.array([[[0, 0], [0.5, 0], [0, 0.5]], [[0.9, 0.9], [0.9, 0.9], [0.9, 0.9]]])
    face, texel = rasterize(triangles, 4)
    assert face.tolist() == [0] and texel.tolist() == [0]


def test_triangles_that_leave_the_image_are_cut():
    texel = rasterize(np.array([[[-3.0, -3.0], [5.0, -3.0], [-3.0, 5.0]]]), 8)[1]
    assert len(texel) == len(np.unique(texel)) and 0 <= texel.min() and texel.max() < 64


def test_row_zero_is_at_the_top():
    square = Mesh(np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]], np.float32),
                  np.array([[0, 1, 2], [0, 2, 3]], np.int32),
                  uvs=np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)).with_normals()
    atlas = make_atlas(square, 4)
    assert atlas.texel.tolist() == list(range(16))
    assert np.allclose(atlas.position[0], [0, 0.125, 0.875])
    assert np.allclose(atlas.position[7], [0, 0.875, 0.625])
    assert np.allclose(atlas.normal, [1, 0, 0])


def test_texels_lie_on_the_surface():
    mesh = unwrap(split_at_creases(sphere()), 128).mesh
    atlas = make_atlas(mesh, 128)
    assert np.allclose(np.linalg.norm(atlas.position, axis=1), 0.6, atol=0.006)
    assert np.allclose(atlas.normal, atlas.position / 0.6, atol=0.02)
    blended = np.einsum("ij,ijk->ik", atlas.weights, mesh.vertices[mesh.faces[atlas.face]])
    assert np.allclose(blended, atlas.position, atol=1e-6)
    assert (np.diff(atlas.texel) > 0).all()


def test_a_texel_of_two_faces_belongs_to_the_first():
    """Two layers of the same square: faces 0 and 1 lie over 2 and 3."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.int32)
    layers = Mesh(np.column_stack([np.tile(corners, (2, 1)), np.repeat([0, 1], 4)]).astype(np.float32), faces,
                  uvs=np.tile(corners, (2, 1))).with_normals()
    assert np.bincount(make_atlas(layers, 8).face).sum() == 64 and make_atlas(layers, 8).face.max() == 1


@pytest.mark.parametrize("height", [1, 4, 64])
def test_strips_together_are_the_whole(height):
    mesh = unwrap(split_at_creases(sphere()), 128).mesh
    whole, strips = make_atlas(mesh, 128), list(atlas_strips(mesh, 128, height))
    assert [strip.rows for strip in strips] == [(first, first + height) for first in range(0, 128, height)]
    for name in ("texel", "face", "weights", "position", "normal"):
        np.testing.assert_array_equal(np.concatenate([getattr(strip, name) for strip in strips]), getattr(whole, name))


def test_strips_have_a_million_texels_at_most():
    assert [strip_height(size) for size in (64, 1024, 2048, 8192)] == [64, 1024, 512, 128]


def test_uvs_and_normals_are_needed():
    with pytest.raises(ValueError, match="uvs and normals"):
        make_atlas(sphere(), 64)

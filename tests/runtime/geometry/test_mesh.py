import numpy as np
import pytest

from meshwright.runtime.geometry.mesh import Mesh


@pytest.fixture
def tetrahedron():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    return Mesh(vertices, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32))


def test_face_normals_areas_bounds_and_volume(tetrahedron):
    third = 3**-0.5
    np.testing.assert_allclose(
        tetrahedron.face_normals(), [[0, 0, -1], [0, -1, 0], [-1, 0, 0], [third] * 3], atol=1e-6)
    np.testing.assert_allclose(tetrahedron.face_areas(), [0.5, 0.5, 0.5, 3**0.5 / 2], rtol=1e-6)
    np.testing.assert_array_equal(tetrahedron.bounds, [[0, 0, 0], [1, 1, 1]])
    assert tetrahedron.signed_volume == pytest.approx(1 / 6)
    assert tetrahedron.triangles().shape == (4, 3, 3)


def test_vertex_normals_are_weighted_by_area(tetrahedron):
    mesh = tetrahedron.with_normals()
    assert mesh.normals.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mesh.normals[0], [-(3**-0.5)] * 3, rtol=1e-6)
    # Around vertex 1: areas times normals (0,0,-1/2) + (0,-1/2,0) + (1/2,1/2,1/2).
    np.testing.assert_allclose(mesh.normals[1], [1, 0, 0], atol=1e-6)


def test_degenerate_face_and_lone_vertex_have_zero_normals():
    mesh = Mesh(np.zeros((4, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert (mesh.face_normals() == 0).all() and (mesh.vertex_normals() == 0).all()


def test_compacted_carries_every_attribute(tetrahedron):
    rows = np.arange(4)
    mesh = tetrahedron.replace(
        faces=tetrahedron.faces[3:], normals=np.eye(4, 3, dtype=np.float32),
        uvs=np.stack([rows, rows], 1).astype(np.float32), colors=np.tile(rows[:, None], 3).astype(np.uint8))
    small = mesh.compacted()
    assert small.faces.tolist() == [[0, 1, 2]] and small.faces.dtype == np.int32
    np.testing.assert_array_equal(small.vertices, mesh.vertices[1:])
    assert small.uvs[:, 0].tolist() == small.colors[:, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(small.normals, mesh.normals[1:])
    assert tetrahedron.compacted() is tetrahedron


def test_empty_mesh():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert empty.bounds.tolist() == [[0] * 3] * 2 and empty.signed_volume == 0
    assert empty.vertex_normals().shape == empty.face_normals().shape == (0, 3)

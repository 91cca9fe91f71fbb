import numpy as np
import pytest

from meshwright.runtime.geometry.creases import shared_edges, split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from tests.runtime.shapes import box, letter_f, sphere


def test_a_box_gets_flat_sides():
    mesh = split_at_creases(box())
    assert len(mesh.vertices) == 24
    assert np.allclose(mesh.normals[mesh.faces], mesh.face_normals()[:, None], atol=1e-6)


def test_a_sphere_stays_smooth():
    mesh = split_at_creases(sphere())
    assert len(mesh.vertices) == len(sphere().vertices)
    assert np.allclose(mesh.normals, mesh.vertices / 0.6, atol=0.02)


def test_faces_keep_their_order_and_places():
    plain = letter_f(detail=2)
    colored = plain.replace(colors=np.arange(len(plain.vertices) * 3).reshape(-1, 3).astype(np.uint8))
    split = split_at_creases(colored)
    assert np.array_equal(split.triangles(), plain.triangles())
    assert np.array_equal(split.colors[split.faces], colored.colors[colored.faces])


@pytest.mark.parametrize(("degrees", "count"), [(180, 8), (89, 24), (0, 24)])
def test_the_angle_decides(degrees, count):
    assert len(split_at_creases(box(), degrees).vertices) == count


def test_normals_are_unit_also_without_area():
    flat = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert np.allclose(np.linalg.norm(split_at_creases(flat).normals, axis=1), 1)
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert split_at_creases(empty).normals.shape == (0, 3)


def test_shared_edges_run_in_opposite_directions():
    faces = np.array([[0, 1, 2], [2, 1, 3], [3, 1, 2]], np.int32)[:2]
    left, right = shared_edges(faces)
    assert [(int(a), int(b)) for a, b in zip(left, right, strict=True)] == [(1, 3)]

import numpy as np

from meshwright.runtime.geometry.denoise import denoised, edge_neighbours
from meshwright.runtime.geometry.isosurface import extract
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import is_watertight


def cube(points):
    """A distance to a cube of half side 0.5."""
    away = np.abs(points) - 0.5
    return {"sdf": np.linalg.norm(np.maximum(away, 0), axis=1) + np.minimum(away.max(axis=1), 0)}


def rough_cube(amount):
    mesh = extract(cube, None, 32, 2.1)
    return mesh, mesh.replace(vertices=(mesh.vertices + np.random.default_rng(0).normal(0, amount, mesh.vertices.shape)).astype(np.float32))


def angles(mesh):
    """(e,) degrees between the normals on either side of each edge."""
    normals = mesh.face_normals()
    left, right = edge_neighbours(mesh.faces)
    return np.degrees(np.arccos(np.clip((normals[left] * normals[right]).sum(axis=1), -1, 1)))


def test_flat_parts_become_flat_and_edges_stay():
    _, rough = rough_cube(0.004)
    smooth = denoised(rough, width=0.35)
    assert np.median(angles(rough)) > 6 and np.median(angles(smooth)) < 1.5
    assert (angles(smooth) > 40).sum() > 12 * 10, "twelve edges of about fifteen cells"
    assert np.abs(np.abs(smooth.vertices).max(axis=1) - 0.5).max() < 0.04
    assert abs(smooth.signed_volume - 1) < 0.02


def test_the_surface_keeps_its_faces_and_stays_closed():
    mesh, rough = rough_cube(0.002)
    smooth = denoised(rough, width=0.35)
    assert np.array_equal(smooth.faces, mesh.faces) and smooth.vertices.dtype == np.float32 and is_watertight(smooth)


def test_every_inner_edge_gives_a_pair_of_faces():
    two = np.array([[0, 1, 2], [2, 1, 3]])
    left, right = edge_neighbours(two)
    assert {left[0], right[0]} == {0, 1} and len(left) == 1
    assert len(edge_neighbours(two[:1])[0]) == 0


def test_any_number_of_faces_around_an_edge_or_a_vertex():
    """A fan of forty faces around one vertex, three of them on one edge as well, and a vertex without a face: all stay finite."""
    rim = np.stack([np.cos(np.linspace(0, 6, 41)), np.sin(np.linspace(0, 6, 41)), 0.1 * np.cos(np.arange(41))], axis=1)
    points = np.concatenate([[[0, 0, 0.5]], rim, [[0, 0, 2], [9, 9, 9]]]).astype(np.float32)
    fan = np.stack([np.zeros(40, int), np.arange(1, 41), np.arange(2, 42)], axis=1)
    mesh = Mesh(points, np.concatenate([fan, [[0, 2, 42]]]).astype(np.int32))
    smooth = denoised(mesh, width=0.35)
    assert np.isfinite(smooth.vertices).all() and np.array_equal(smooth.vertices[43], points[43])
    assert 0 < np.abs(smooth.vertices - points).max() < 1


def test_a_mesh_without_faces_stays_empty():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert len(denoised(empty, width=0.35).vertices) == 0

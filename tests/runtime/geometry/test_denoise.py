import numpy as np

from meshwright.runtime.geometry.denoise import denoised, edge_neighbours
from meshwright.runtime.geometry.isosurface import extract
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

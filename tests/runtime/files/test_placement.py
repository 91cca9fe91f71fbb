"""Where a mesh stood in its file, and that it gets back there."""

import numpy as np
import pytest
import trimesh

from meshwright.runtime.files.reader import RADIUS, Placement, read_mesh
from meshwright.runtime.files.writer import save
from meshwright.runtime.geometry.mesh import Mesh
from tests.runtime.files.gltf_files import triangle

# A box in a file's axes (+Y up), from its lowest corner to its highest.
LOW, HIGH = np.float64([500, 0, -20]), np.float64([600, 200, 80])


def box(path, low=LOW, high=HIGH):
    made = trimesh.creation.box(extents=high - low)
    made.apply_translation((low + high) / 2)
    made.export(path)
    return path


def bounds(path):
    """(2, 3): of a file, in its own axes and units, by another reader."""
    return trimesh.load_scene(path, process=False).bounds


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_the_place_and_the_size_are_kept(tmp_path, ending):
    """The middle is at (550, 100, 30), half a diagonal is sqrt(50^2 + 100^2 + 50^2) = 122.474."""
    placement = read_mesh(box(tmp_path / f"a.{ending}")).placement
    assert placement.describe() == {"translation": pytest.approx([550, 100, 30]), "scale": pytest.approx(122.474487 / RADIUS)}
    np.testing.assert_allclose(placement.translation, [30, 550, 100])  # world axes: the file's z, x, y


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl"])
def test_a_mesh_comes_back_to_where_it_was(tmp_path, ending):
    """In each format, in the axes that it has there: +Y up in GLB and OBJ, +Z up with the front at -y in PLY and STL."""
    read = read_mesh(box(tmp_path / "a.glb"))
    save(read.placement.restored(read.mesh), tmp_path / f"b.{ending}")
    expected = np.stack([LOW, HIGH])
    if ending in ("ply", "stl"):
        expected = np.stack([[500, -80, 0], [600, 20, 200]])  # (x, -z, y)
    np.testing.assert_allclose(bounds(tmp_path / f"b.{ending}"), expected, atol=1e-3)


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_a_mesh_far_away_keeps_its_shape(tmp_path, ending):
    """A millimetre matters to a pebble of 20 cm, and float32 has steps of half a metre where it lies: as surveys give places."""
    file, place = triangle(), [500_000.25, 12.5, 4_600_000.75]
    file.document["nodes"][0] |= {"translation": place, "scale": [0.2, 0.2, 0.2]}
    (tmp_path / "a.glb").write_bytes(file.glb())
    read = read_mesh(tmp_path / "a.glb")
    np.testing.assert_allclose(np.ptp(read.mesh.vertices, axis=0), np.array([0, 0.2, 0.2]) * RADIUS / 0.1 / 2**0.5, atol=1e-4)
    save(read.placement.restored(read.mesh), tmp_path / f"b.{ending}")
    np.testing.assert_allclose(bounds(tmp_path / f"b.{ending}") - place, [[0, 0, 0], [0.2, 0.2, 0]], atol=1e-3)


def test_files_of_ours_stay_where_they_are(tmp_path):
    mesh = Mesh(np.float32([[0, 0, 0], [0.9, 0, 0], [0, 0.5, 0.1]]), np.int32([[0, 1, 2]]))
    save(mesh, tmp_path / "a.glb")
    read = read_mesh(tmp_path / "a.glb")
    assert read.placement == Placement() and np.abs(read.mesh.vertices - mesh.vertices).max() < 1e-6
    save(mesh.replace(vertices=mesh.vertices * 40), tmp_path / "b.glb")  # unless the views could not show them
    assert read_mesh(tmp_path / "b.glb").placement.scale == pytest.approx(20 * (0.9**2 + 0.5**2 + 0.1**2)**0.5 / RADIUS, rel=1e-5)

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.geometry.decimate import decimate
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import is_watertight
from tests.runtime.shapes import letter_f, sphere


@pytest.mark.parametrize("faces", [600, 200, 60])
def test_a_closed_mesh_keeps_closed_within_the_budget(faces):
    mesh = letter_f(detail=6)
    light = decimate(mesh, faces)
    assert is_watertight(mesh) and is_watertight(light)
    assert faces * 0.75 <= len(light.faces) <= faces
    assert light.signed_volume == pytest.approx(mesh.signed_volume, rel=0.02)
    assert light.vertices.dtype == np.float32 and light.faces.dtype == np.int32


def test_flat_sides_stay_where_they_are():
    mesh = letter_f(detail=6)
    assert decimate(mesh, 100).bounds == pytest.approx(mesh.bounds, abs=0.02)


def test_the_budget_holds_even_where_the_mesh_cannot_stay_closed():
    for faces in (4, 9, 20):
        assert 0 < len(decimate(letter_f(detail=3), faces).faces) <= faces


def test_the_result_repeats_and_does_not_depend_on_the_unit():
    mesh = sphere(subdivisions=4)
    one, two = decimate(mesh, 500), decimate(mesh, 500)
    assert one.vertices.tobytes() == two.vertices.tobytes() and one.faces.tobytes() == two.faces.tobytes()
    large = decimate(mesh.replace(vertices=mesh.vertices * np.float32(1024)), 500)
    assert np.array_equal(large.faces, one.faces)


def test_a_light_mesh_comes_back_as_it_is():
    mesh = sphere(subdivisions=1)
    assert decimate(mesh, len(mesh.faces)) is mesh


def test_an_open_mesh_is_decimated_too():
    mesh = sphere(subdivisions=3)
    half = Mesh(mesh.vertices, mesh.faces[:len(mesh.faces) // 2]).compacted()
    assert len(decimate(half, 100).faces) <= 100


def test_no_fewer_than_four_faces():
    with pytest.raises(InputError, match="faces.*3"):
        decimate(sphere(), 3)

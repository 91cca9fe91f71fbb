import numpy as np

from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.repair import repaired
from meshwright.runtime.geometry.topology import edge_report
from tests.runtime.shapes import box, joined, sphere


def test_a_sound_mesh_is_left_as_it_is():
    mesh, said = repaired(sphere())
    assert said == () and mesh.signed_volume == sphere().signed_volume and len(mesh.faces) == len(sphere().faces)


def test_vertices_that_lie_almost_together_are_joined():
    apart = box()
    rng = np.random.default_rng(0)
    loose = Mesh((apart.vertices[apart.faces.ravel()] + rng.uniform(-1e-7, 1e-7, (36, 3))).astype(np.float32),
                 np.arange(36, dtype=np.int32).reshape(-1, 3))
    mesh, said = repaired(loose)
    assert edge_report(mesh).watertight and len(mesh.vertices) == 8
    assert len(said) == 1 and "almost at the same place" in said[0]


def test_fronts_agree_and_look_outwards():
    turned = sphere()
    faces = turned.faces.copy()
    faces[::7] = faces[::7, ::-1]
    mesh, said = repaired(turned.replace(faces=faces))
    assert edge_report(mesh).watertight and mesh.signed_volume > 0
    assert said == (f"{len(faces[::7]):,} faces were turned around",)
    inside_out, said = repaired(box().replace(faces=box().faces[:, ::-1]))
    assert inside_out.signed_volume > 0 and said == ("12 faces were turned around",)


def test_the_wall_of_a_hollow_looks_inwards_still():
    outer, inner = sphere(0.6), sphere(0.3)
    hollow = joined(outer, inner.replace(faces=inner.faces[:, ::-1]))
    mesh, said = repaired(hollow)
    assert said == () and mesh.signed_volume == hollow.signed_volume


def test_small_holes_are_closed_and_large_ones_left():
    ball = sphere(0.6, 4)
    tip = ball.vertices[:, 2].argmax()
    mesh, said = repaired(ball.replace(faces=ball.faces[~(ball.faces == tip).any(axis=1)]))
    assert edge_report(mesh).watertight and said == ("1 small holes were closed",)
    half, said = repaired(ball.replace(faces=ball.faces[(ball.vertices[ball.faces][:, :, 2] < 0.1).all(axis=1)]))
    assert edge_report(half).boundary > 0 and "open edges" in said[0] and "0 edges of more than two" in said[0]


def test_faces_that_are_there_twice_go():
    twice = box().replace(faces=np.concatenate([box().faces, box().faces[:3, [1, 2, 0]]]))
    mesh, said = repaired(twice)
    assert edge_report(mesh).watertight and said == ("3 faces that were there twice were left out",)

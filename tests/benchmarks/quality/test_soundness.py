import numpy as np
import pytest

from benchmarks.quality import families, soundness
from meshwright.export.props.world import sdf
from meshwright.export.props.world.shapes import Builder
from meshwright.export.props.world.world import Prop
from meshwright.runtime.geometry.mesh import Mesh


def prop(*add):
    builder = Builder()
    for kind, *arguments in add:
        getattr(builder, kind)(*arguments)
    return Prop("table", builder.finish(np.zeros((5, 3)), radius=0.9), "red", "red", 0)


def surface(*add):
    return soundness.true_surface(prop(*add), 48, 2.1)


def test_pieces_and_handles_of_known_shapes():
    assert soundness.pieces_and_handles(surface(("sphere", 0.5, (0, 0, 0)))) == (1, 0)
    assert soundness.pieces_and_handles(surface(("torus", 0.6, 0.2, (0, 0, 0)))) == (1, 1)
    two = surface(("torus", 0.4, 0.15, (0, 0, 0)), ("torus", 0.4, 0.15, (0, 0, 1.0)))
    assert soundness.pieces_and_handles(two) == (2, 2)
    linked = surface(("torus", 0.4, 0.15, (-0.38, 0, 0)), ("torus", 0.4, 0.15, (0.38, 0, 0)))
    assert soundness.pieces_and_handles(linked) == (1, 2)
    assert soundness.pieces_and_handles(Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))) == (0, 0)


def test_seams_make_no_pieces():
    whole = surface(("sphere", 0.5, (0, 0, 0)))
    apart = Mesh(whole.triangles().reshape(-1, 3), np.arange(3 * len(whole.faces), dtype=np.int32).reshape(-1, 3))
    assert soundness.pieces_and_handles(apart) == (1, 0)


def test_excess_is_counted_above_the_family(monkeypatch):
    monkeypatch.setattr(families, "PER_FAMILY", 3)
    bars = surface(("sphere", 0.2, (0, 0, 0)), ("sphere", 0.2, (0, 0, 1)), ("sphere", 0.2, (0, 0, 2)))
    assert soundness.excess(bars, ("barrel",), 32, 2.1) == {"extra_pieces": 2, "extra_handles": 0}
    ring = surface(("torus", 0.6, 0.2, (0, 0, 0)))
    assert soundness.excess(ring, ("crate",), 32, 2.1) == {"extra_pieces": 0, "extra_handles": 1}
    assert soundness.excess(ring, ("crate", "mug"), 32, 2.1)["extra_handles"] == 0


def test_flat_parts_of_a_box_are_flat_until_they_are_dented():
    box = prop(("box", (0.5, 0.4, 0.3), (0, 0, 0)))
    mesh = soundness.true_surface(box, 48, 2.1)
    assert soundness.flat_angle(mesh, box) < 0.1
    dents = np.random.default_rng(0).normal(0, 0.004, mesh.vertices.shape).astype(np.float32)
    assert soundness.flat_angle(mesh.replace(vertices=mesh.vertices + dents), box) > 3
    far = mesh.replace(vertices=mesh.vertices * np.float32(0.5))
    assert soundness.flat_angle(far, box) is None


def test_a_cube_of_two_triangles_a_side_has_right_angles_only_at_its_edges():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * np.float32(0.5)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))], np.int32)
    row = np.zeros(sdf.COLUMNS, np.float32)
    row[0], row[1:10], row[13:16], row[21] = sdf.BOX, np.eye(3).ravel(), 0.5, 1.0
    assert soundness.flat_angle(Mesh(corners, faces), Prop("crate", row[None], "red", "red", 0)) == pytest.approx(0, abs=0.05)

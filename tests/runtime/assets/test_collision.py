import numpy as np
import pytest

from meshwright.engines.errors import BackendUnavailable
from meshwright.runtime.assets import collision
from meshwright.runtime.assets.collision import MAX_CORNERS, collision_shapes, in_convex, is_inside
from meshwright.runtime.geometry.convex import convex_hull
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import edge_report, welded
from tests.runtime.shapes import box, sphere


def table() -> Mesh:
    """A top of 2 x 2 x 0.2 on a leg of 0.4 x 0.4 x 1, closed, as one mesh: its hull is much larger than itself."""
    top, leg = box((2.0, 2.0, 0.2)), box((0.4, 0.4, 1.0))
    leg = leg.replace(vertices=leg.vertices - np.array([0, 0, 0.62], np.float32))  # a gap, so that both are closed
    faces = np.concatenate([top.faces, leg.faces + len(top.vertices)])
    return welded(Mesh(np.concatenate([top.vertices, leg.vertices]), faces))


def check_hull(hull: Mesh) -> None:
    """Closed, facing outwards, few corners, and no corner outside of any face."""
    assert edge_report(hull).watertight and hull.signed_volume > 0 and len(hull.vertices) <= MAX_CORNERS
    triangles = hull.triangles().astype(np.float64)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    offsets = np.einsum("fj,fj->f", normals, triangles[:, 0])
    assert (hull.vertices @ normals.T - offsets).max() < 1e-5


def test_a_box_is_its_own_box_and_its_own_hull():
    for kind, named in (("box", "box"), ("hull", "hull")):
        found = collision_shapes(box((1.0, 2.0, 3.0)), kind)
        assert (found.kind, len(found.hulls), len(found.hulls[0].vertices)) == (named, 1, 8)
        check_hull(found.hulls[0])
        assert found.hulls[0].signed_volume == pytest.approx(6.0, rel=1e-5)
        assert found.missing == found.extra == 0 and found.largest_error < 1e-6


def test_the_hull_of_a_sphere_has_few_corners_and_says_what_that_costs():
    found = collision_shapes(sphere(), "hull")
    check_hull(found.hulls[0])
    share = found.hulls[0].signed_volume / sphere().signed_volume
    assert found.missing == pytest.approx(1 - share, abs=0.02) and found.extra == 0


@pytest.mark.slow
@pytest.mark.parametrize("library", ["coacd", "vhacdx"])
def test_convex_parts_follow_the_shape(library, monkeypatch):
    monkeypatch.setattr(collision, "LIBRARIES", (library,))
    found = collision_shapes(table(), "hulls", 8)
    assert found.method == library and 2 <= len(found.hulls) <= 8
    for hull in found.hulls:
        check_hull(hull)
    hull = collision_shapes(table(), "hull")
    assert found.missing < 0.1 and found.extra < 0.1 * hull.extra and found.mean_error < 0.02


def test_what_fails_is_followed_by_the_next_and_in_the_end_by_one_hull(monkeypatch):
    found = collision_shapes(table(), "hulls", timeout_s=1e-3)
    assert found.method == "convex hull" and len(found.hulls) == 1
    assert "coacd took longer than 0.001 s; vhacdx took longer" in found.notices[0]
    monkeypatch.setattr(collision, "LIBRARIES", ("there_is_no_such_library",))
    with pytest.raises(BackendUnavailable, match=r"meshwright\[collision\]"):
        collision_shapes(table(), "hulls")
    assert "not installed" in collision_shapes(table(), "hulls", strict=False).notices[0]


def test_inside_of_a_mesh_and_of_a_hull():
    points = np.array([[0, 0, 0], [0.49, 0.9, 1.4], [0.51, 0, 0], [0, -1.1, 0]], np.float32)
    shape = box((1.0, 2.0, 3.0))
    assert is_inside(shape, points).tolist() == in_convex(convex_hull(shape.vertices), points).tolist() == [True, True, False, False]

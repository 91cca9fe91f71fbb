import numpy as np
import pytest

from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import (
    components,
    connected,
    edge_report,
    is_watertight,
    keep_components,
    split_non_manifold_edges,
    welded,
)

FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)


def tetrahedron(scale=1.0, offset=0.0):
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    return Mesh(vertices * np.float32(scale) + np.float32(offset), FACES)


def joined(*meshes):
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = [mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces).astype(np.int32))


@pytest.fixture
def touching():
    """Three tetrahedra around one shared edge, 0-1: six faces use it."""
    vertices, faces = [[0, 0, 0], [0, 0, 1]], []
    for angle in (0.0, 2.0, 4.0):
        first = len(vertices)
        vertices += [[np.cos(angle + turn), np.sin(angle + turn), 0.5] for turn in (0, 0.8)]
        faces += [[corner if corner < 2 else corner - 2 + first for corner in face] for face in FACES.tolist()]
    return Mesh(np.array(vertices, np.float32), np.array(faces, np.int32))


def test_closed_open_and_misoriented():
    mesh = tetrahedron()
    assert edge_report(mesh).watertight and edge_report(mesh).edges == 6
    assert edge_report(mesh.replace(faces=FACES[1:])).boundary == 3
    flipped = mesh.replace(faces=np.concatenate([FACES[:1, ::-1], FACES[1:]]))
    assert edge_report(flipped).misoriented == 3 and not is_watertight(flipped)
    assert not is_watertight(mesh.replace(faces=FACES[:0])), "nothing is not closed"


def test_face_that_repeats_a_vertex_is_reported():
    mesh = tetrahedron().replace(faces=np.concatenate([FACES, [[1, 1, 2]]]).astype(np.int32))
    assert edge_report(mesh).degenerate == 1 and not edge_report(mesh).watertight


def test_seams_do_not_count():
    mesh = tetrahedron()
    split = mesh.select_vertices(mesh.faces.ravel(), np.arange(12).reshape(4, 3))
    assert edge_report(split).boundary == 12 and is_watertight(split)
    assert len(welded(split).vertices) == 4


def test_welding_takes_both_zeros_as_one_and_nothing_else():
    vertices = np.array([[0, 0, 0], [-0.0, 0, 0], [0, 0, 1e-30], [0, 1, 0], [1, 0, 0]], np.float32)
    mesh = welded(Mesh(vertices, np.array([[0, 3, 4], [1, 3, 4], [2, 3, 4], [0, 1, 4]], np.int32)))
    assert len(mesh.vertices) == 4 and len(mesh.faces) == 3


def test_crowded_edge_is_split_and_stays_split_when_welded(touching):
    assert edge_report(touching).non_manifold == 1
    whole = split_non_manifold_edges(touching.replace(colors=np.arange(24, dtype=np.uint8).reshape(8, 3)))
    assert edge_report(whole).watertight and is_watertight(whole)
    assert len(whole.vertices) == len(touching.vertices) + 2
    assert whole.colors.shape == whole.vertices.shape
    assert whole.signed_volume == pytest.approx(touching.signed_volume, rel=1e-5)
    assert whole.face_areas().sum() == pytest.approx(touching.face_areas().sum(), rel=1e-5)


def test_many_crowded_edges_at_once(touching):
    """Two thousand of them, each as if it were alone; the time grows with the mesh, not with its square."""
    many, one = joined(*[touching] * 2000), split_non_manifold_edges(touching)
    whole = split_non_manifold_edges(many)
    assert edge_report(many).non_manifold == 2000 and edge_report(whole).watertight
    assert len(whole.faces) == 2000 * len(one.faces) and len(whole.vertices) == 2000 * len(one.vertices)


def test_faces_back_to_back_are_taken_out_first():
    # A decimator leaves such fins: both sides of one triangle, hanging on an edge of the solid.
    mesh = tetrahedron()
    fin = Mesh(
        np.concatenate([mesh.vertices, [[2, 2, 2]]]).astype(np.float32),
        np.concatenate([mesh.faces, [[0, 1, 4], [4, 1, 0]]]).astype(np.int32))
    assert edge_report(fin).non_manifold == 1
    whole = split_non_manifold_edges(fin)
    np.testing.assert_array_equal(whole.faces, mesh.faces)
    assert len(whole.vertices) == 4


def test_splitting_leaves_whole_and_unbalanced_edges_alone(touching):
    mesh = tetrahedron()
    assert split_non_manifold_edges(mesh) is mesh
    odd = touching.replace(faces=touching.faces[1:])
    assert split_non_manifold_edges(odd) is odd


def test_connected_finds_the_lowest_node_of_long_chains():
    rng = np.random.default_rng(0)
    order = rng.permutation(1000)
    links = np.stack([order[:-1], order[1:]], 1)[np.arange(999) != 499]
    root = connected(1001, links[:, 0], links[:, 1])
    assert (root[order[:500]] == order[:500].min()).all()
    assert (root[order[500:]] == order[500:].min()).all()
    assert root[1000] == 1000


def test_components_and_small_ones_removed():
    mesh = joined(tetrahedron(), tetrahedron(0.02, 3.0), tetrahedron(0.5, 5.0))
    assert components(mesh).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    kept = keep_components(mesh)
    assert len(kept.faces) == 8 and len(kept.vertices) == 8
    assert len(keep_components(mesh, 0.5).faces) == 4
    assert keep_components(mesh, 0.0) is mesh
    assert len(keep_components(mesh, 2.0).faces) == 4, "the largest always stays"


def test_cavities_are_removed_unless_asked_for():
    hollow = tetrahedron(0.2, 0.1)
    mesh = joined(tetrahedron(), hollow.replace(faces=hollow.faces[:, ::-1]))
    assert len(keep_components(mesh).faces) == 4
    assert keep_components(mesh, cavities=True) is mesh


def test_empty_mesh():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert keep_components(empty) is empty and not is_watertight(empty)
    assert split_non_manifold_edges(empty) is empty


def test_watertight_is_what_the_report_says_it_is():
    """Of meshes of a few faces, at random: some are closed, and some have faces twice, or edges of four."""
    rng, closed = np.random.default_rng(0), 0
    for trial in range(300):
        faces = rng.integers(0, 5, (rng.integers(0, 6), 3)).astype(np.int32)
        if trial % 2:
            faces = np.concatenate([faces, faces[:, ::-1]])
        mesh = Mesh(rng.integers(0, 3, (5, 3)).astype(np.float32), faces)
        expected = edge_report(welded(mesh)).watertight
        assert is_watertight(mesh) == expected
        closed += expected
    assert 10 < closed < 290

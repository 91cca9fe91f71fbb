import time

import numpy as np

from meshwright.runtime.geometry.isosurface.tables import CORNERS, EDGES, tables


def test_corners_and_edges_are_a_cube():
    assert len(np.unique(CORNERS, axis=0)) == 8
    difference = CORNERS[EDGES[:, 1]] - CORNERS[EDGES[:, 0]]
    assert (np.abs(difference).sum(axis=1) == 1).all()
    assert len({tuple(sorted(edge)) for edge in EDGES.tolist()}) == 12


def test_how_many_cases_have_how_many_dual_vertices():
    assert np.bincount(tables().count).tolist() == [2, 162, 82, 8, 2]


def test_flagged_cases_have_unit_directions():
    direction = tables().direction
    assert np.abs(direction).sum(axis=1).max() == 1
    assert direction.any(axis=1).sum() == 36


def test_components_number_the_crossed_edges():
    inside = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    crossed = inside[:, EDGES[:, 0]] != inside[:, EDGES[:, 1]]
    component = tables().component
    np.testing.assert_array_equal(component >= 0, crossed)
    for case in range(256):
        numbers, sizes = np.unique(component[case][crossed[case]], return_counts=True)
        assert numbers.tolist() == list(range(tables().count[case]))
        assert not len(sizes) or (sizes.min() >= 3 and sizes.max() <= 7)


def test_a_known_ambiguous_pair():
    # Two opposite corners of one face inside: two separate pieces; all but those two: one piece.
    assert tables().count[0b00001001] == 2
    assert tables().count[255 - 0b00001001] == 1
    np.testing.assert_array_equal(tables().direction[255 - 0b00001001], [0, 0, -1])


def test_making_the_tables_is_quick():
    start = time.process_time()
    tables.__wrapped__()
    assert time.process_time() - start < 0.5, "some 20 ms when nothing else runs"

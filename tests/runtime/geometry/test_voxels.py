"""Tables of active voxels against what a grid says, and what is enclosed."""

import numpy as np
import pytest

from meshwright.runtime.geometry.voxels import AROUND, OCTANTS, all_voxels, bucket_rows, centres, enclosed, filled, subdivided

BUCKETS = (16, 64)


def some(side=4, seed=0, share=0.2):
    return np.random.default_rng(seed).random((side,) * 3) < share


def rows_by_place(voxels):
    return {tuple(place): row for row, place in enumerate(voxels.tolist())}


def test_every_table_says_what_the_grid_says():
    found = subdivided(some(), 3, BUCKETS)
    assert found is not None
    tables, levels = found.tables(), found.levels
    for level, (voxels, rows) in enumerate(zip(levels, found.rows, strict=True)):
        at = rows_by_place(voxels)
        assert tables[f"active_{level}"].sum() == len(voxels) < rows
        expected = [[at.get(tuple(each), rows - 1) for each in (place + AROUND).tolist()] for place in voxels]
        np.testing.assert_array_equal(tables[f"neighbours_{level}"][:len(voxels)], expected)
        assert (tables[f"neighbours_{level}"][len(voxels):] == rows - 1).all(), "padding sees padding"
    for level, (fine, coarse) in enumerate(zip(levels, levels[1:], strict=False)):
        at, above = rows_by_place(fine), rows_by_place(coarse)
        for row, place in enumerate(coarse):
            children = [at.get(tuple(each), found.rows[level] - 1) for each in (2 * place + OCTANTS).tolist()]
            assert tables[f"children_{level}"][row].tolist() == children
        for row, place in enumerate(fine):
            parent, octant = divmod(int(tables[f"parents_{level}"][row]), 8)
            assert parent == above[tuple(place >> 1)] and tables[f"children_{level}"][parent, octant] == row
    assert all(table.dtype == (np.float32 if name.startswith("active") else np.int64) for name, table in tables.items())


def test_the_finest_voxels_are_the_children_of_those_that_are_occupied():
    occupied = some()
    found = subdivided(occupied, 2, BUCKETS)
    assert found is not None and found.count == 8 * occupied.sum() and found.resolution == 8
    fine = np.zeros((8, 8, 8), bool)
    fine[tuple(found.levels[0].T)] = True
    np.testing.assert_array_equal(fine, occupied.repeat(2, 0).repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("count, rows", [(3, (32, 4, 2)), (4, (64, 8, 4)), (6, (64, 8, 4)), (7, None)])
def test_the_first_bucket_with_room_for_padding_is_taken(count, rows):
    occupied = np.zeros((8, 8, 8), bool)
    occupied.reshape(-1)[:count] = True
    if count == 3:
        occupied[0, 0, 2], occupied[0, 1, 1] = False, True  # all below one parent
    found = subdivided(occupied, 3, (4, 8))
    assert (found and found.rows) == rows


def test_scattered_voxels_take_a_larger_bucket_for_their_parents():
    occupied = np.zeros((8, 8, 8), bool)
    occupied[::4, ::4, 0] = True  # four voxels below four parents
    found = subdivided(occupied, 3, (6, 12))
    assert found is not None and found.rows == bucket_rows(12, 3) == (96, 12, 6)


def test_what_a_shell_encloses_is_inside_and_what_leaks_is_outside():
    shell = np.zeros((4, 4, 4), bool)
    shell[1:3, 1:3, 1:3] = True
    found = subdivided(shell, 2, (16,))
    assert found is not None
    values = np.linspace(-1, 1, found.count).astype(np.float32)
    hollow = np.ones((8, 8, 8), bool)
    hollow[0] = hollow[-1] = hollow[:, 0] = hollow[:, -1] = hollow[:, :, 0] = hollow[:, :, -1] = False
    hollow[3:5, 3:5, 3:5] = False
    inner = np.zeros_like(hollow)
    inner[3:5, 3:5, 3:5] = True
    np.testing.assert_array_equal(enclosed(hollow), inner)
    hollow[1:4, 3, 3] = False
    assert not enclosed(hollow).any()
    grid = filled(found, values, 0.5)
    np.testing.assert_array_equal(grid[tuple(found.levels[0].T)], values)
    assert (grid[0] == 0.5).all() and grid.dtype == np.float32


def test_centres_lie_evenly_around_the_origin():
    found = centres(all_voxels(4), 4, 2.0)
    assert found.shape == (64, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], [-0.75] * 3)
    np.testing.assert_allclose(found[1], [-0.75, -0.75, -0.25])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)

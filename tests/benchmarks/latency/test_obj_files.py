"""The benchmark of OBJ files: what it writes, both sides read."""

import pytest

from benchmarks.latency.obj_files import OURS, TRIMESH, measured, write_grid


@pytest.mark.parametrize("kind", ["digits", "quads"])
def test_both_sides_read_the_same_triangles(tmp_path, kind):
    write_grid(tmp_path / "grid.obj", 200, kind)
    for code in (OURS, TRIMESH):
        seconds, memory, faces = measured(code, tmp_path / "grid.obj")
        assert faces == 200 and seconds > 0 and memory > 1

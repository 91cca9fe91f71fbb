"""Surfaces of quads: made in a child process, faces of four corners in an OBJ."""

import numpy as np
import pytest

from meshwright.engines.errors import BackendUnavailable
from meshwright.engines.machine.isolated import IsolatedFailure
from meshwright.runtime import read_mesh
from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.files.writer import with_quads
from meshwright.runtime.geometry import quads
from meshwright.runtime.geometry.quads import quad_mesh
from tests.runtime.shapes import letter_f, position_colors


@pytest.mark.slow
def test_a_letter_of_quads(tmp_path):
    shape = letter_f(detail=3)
    look = shape.with_normals().replace(colors=(position_colors(shape.vertices) * 255).astype(np.uint8))
    asset = make_asset(shape, look, AssetOptions(quads=True, faces=1500, texture=128))
    level = asset.levels[0]
    assert asset.notices == () and 1000 < len(level.mesh.faces) < 1600 and level.largest_error < 0.05
    assert level.mesh.texture is not None
    asset.save(tmp_path / "f.obj")
    corners = [len(line.split()) - 1 for line in (tmp_path / "f.obj").read_text().splitlines() if line.startswith("f ")]
    assert corners.count(4) > 0.85 * len(corners) and set(corners) <= {3, 4}
    assert len(read_mesh(tmp_path / "f.obj").mesh.faces) == len(level.mesh.faces)


def test_pairs_of_triangles_become_quads():
    obj = b"v 0 0 0\nf 1/1 2/2 3/3\nf 1/1 3/3 4/4\nf 5 6 7\nf 7 8 9\nf 7 9 2\n"
    assert with_quads(obj) == b"v 0 0 0\nf 1/1 2/2 3/3 4/4\nf 5 6 7\nf 7 8 9 2\n"


def test_what_takes_too_long_or_is_missing(monkeypatch):
    with pytest.raises(IsolatedFailure, match="longer than 0.01 s"):
        quad_mesh(letter_f(detail=3), 1000, timeout_s=0.01)
    monkeypatch.setattr(quads, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"quads are made by another package; .*pip install 'meshwright\[quads\]'"):
        make_asset(letter_f(), letter_f(), AssetOptions(quads=True))

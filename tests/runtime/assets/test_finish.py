import json
import subprocess
import sys

import numpy as np
import pytest

from meshwright.runtime.assets.finish import finish, merged
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.files.reader import read_mesh
from meshwright.runtime.files.writer import save
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import letter_f, position_colors, to_texture


@pytest.fixture(scope="module")
def textured(tmp_path_factory):
    """A letter with a texture, 20 units high and far from the origin, as an OBJ file."""
    from meshwright.runtime.texture.atlas import make_atlas

    mesh = unwrap(letter_f(detail=3).with_normals(), 128).mesh
    atlas = make_atlas(mesh, 128)
    mesh = mesh.replace(texture=to_texture(atlas, position_colors(atlas.position)))
    path = tmp_path_factory.mktemp("finish") / "letter.obj"
    save(mesh.replace(vertices=mesh.vertices * np.float32(20) + np.float32(50)), path)
    return path


def test_what_fits_is_kept_as_it_is(textured):
    read = read_mesh(textured)
    asset = finish(textured, AssetOptions(lods=(0.5,)))
    first = asset.levels[0].mesh
    assert (first.texture == read.mesh.texture).all() and len(first.faces) == len(read.mesh.faces)
    assert len(first.vertices) < len(read.mesh.vertices)  # each corner of a face was a vertex of its own
    for name in ("vertices", "normals", "uvs"):
        assert (getattr(first, name)[first.faces] == getattr(read.mesh, name)[read.mesh.faces]).all()
    assert asset.placement == read.placement and asset.notices == ()


def test_fewer_triangles_get_the_old_look(textured):
    read = read_mesh(textured)
    asset = finish(textured, AssetOptions(faces=150, texture=128))
    assert len(asset.levels[0].mesh.faces) <= 150 and asset.levels[0].watertight
    cameras = orbit((30.0, 210.0), (20.0, -10.0))
    seen, expected = (render_views(mesh, cameras, 128, shaded=False) for mesh in (asset.levels[0].mesh, read.mesh))
    assert np.abs(seen - expected).mean() < 0.01


@pytest.mark.slow
def test_the_command(textured, tmp_path):
    out = tmp_path / "out.glb"
    done = subprocess.run([sys.executable, "-m", "meshwright.runtime.cli.main", "finish", str(textured), "-o", str(out), "--for", "unity",
                           "--height", "2", "--lods", "2", "--json", "--preview", str(tmp_path / "p.png")],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["files"] == [str(out), str(tmp_path / "out_collision.glb"), str(tmp_path / "p.png")]
    # The preset says four levels, the option two; the preset's hull stays.
    assert len(report["asset"]["levels"]) == 2 and report["asset"]["collision"]["count"] == 1
    assert report["asset"]["size"] == pytest.approx([0.8, 2.0, 0.4], rel=1e-4)
    assert "[1/4] repair" in done.stderr and "[4/4] collision" in done.stderr


def test_the_input_is_never_replaced(textured, main):
    before = textured.read_bytes()
    for options in ([], ["--lods", "2"]):
        done = main("finish", textured, "-o", textured, *options)
        assert done.returncode == 2 and textured.read_bytes() == before


def test_merged_vertices_differ_in_something():
    mesh = letter_f()
    corners = mesh.select_vertices(mesh.faces.ravel(), np.arange(mesh.faces.size).reshape(-1, 3))
    assert len(merged(corners).vertices) == len(mesh.vertices)

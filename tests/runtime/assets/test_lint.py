"""Each check finds its fault; what we write ourselves has none."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.lint import LIMITS, SEVERITIES, lint, worst
from meshwright.runtime.assets.lint_checks import gutter, is_convex, texel_density, uv_overlap
from meshwright.runtime.assets.presets import PRESETS
from meshwright.runtime.files.gltf.writer import Model, models_bytes
from meshwright.runtime.geometry.mesh import Mesh
from tests.runtime.shapes import box, letter_f, position_colors, sphere

GREY = np.full((64, 64, 3), 128, np.uint8)


def severities(path, engine=None):
    """The gravest severity of each check."""
    found = {}
    for verdict in lint(path, engine):
        found[verdict.check] = max(found.get(verdict.check, "ok"), verdict.severity, key=SEVERITIES.index)
    return found


def write(path, *models, **options):
    path.write_bytes(models_bytes(models, **options))
    return path


def square(low, high):
    """Two faces that fill a square of the texture, on a square of one metre in space."""
    corners = np.array([[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]], np.float32)
    uvs = low + (high - low) * np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), uvs=uvs.astype(np.float32), texture=GREY)


def both(one, other):
    """Two squares in one mesh."""
    return one.replace(vertices=np.concatenate([one.vertices, other.vertices + [1, 0, 0]]).astype(np.float32),
                       faces=np.concatenate([one.faces, other.faces + 4]), uvs=np.concatenate([one.uvs, other.uvs]))


@pytest.mark.parametrize("engine", sorted(PRESETS))
def test_what_a_preset_writes_is_clean(engine, tmp_path):
    letter = letter_f(detail=3)
    colored = letter.replace(colors=(position_colors(letter.vertices) * 255).astype(np.uint8))
    options = replace(PRESETS[engine], texture=128, height=1.0)
    if options.collision == "hulls":
        options = replace(options, collision="hull")  # test_collision has the decompositions
    for path in make_asset(letter, colored, options, made_for=engine).save(tmp_path / "letter.glb"):
        # The letter's sides are flat, so that decimation leaves faces without area on them.
        assert {verdict for verdict in lint(path) if verdict.severity != "ok" and verdict.check != "degenerate faces"} == set()
        assert worst(lint(path, engine)) in ("ok", "note")


def test_faults_of_the_surface(tmp_path):
    ball = sphere()
    hole = ball.replace(faces=ball.faces[1:])
    assert severities(write(tmp_path / "a.glb", Model("a", hole)))["closed"] == "note"
    assert severities(tmp_path / "a.glb", "roblox")["closed"] == "error"
    assert severities(write(tmp_path / "b.glb", Model("b", ball.replace(faces=ball.faces[:, ::-1]))))["inside out"] == "error"
    fin = Mesh(np.concatenate([box().vertices, [[2, 2, 2]]]).astype(np.float32), np.concatenate([box().faces, [[*box().faces[0, :2], 8]]]))
    assert severities(write(tmp_path / "c.glb", Model("c", fin)))["manifold"] == "warning"
    turned = ball.replace(faces=np.concatenate([ball.faces[:1, ::-1], ball.faces[1:]]))
    assert severities(write(tmp_path / "d.glb", Model("d", turned)))["winding"] == "warning"
    line = Mesh(np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2]], np.float32), np.array([[0, 1, 2]], np.int32))
    assert severities(write(tmp_path / "e.glb", Model("e", line)))["degenerate faces"] == "warning"


def test_triangles_by_engine(tmp_path):
    path = write(tmp_path / "many.glb", Model("many", sphere(0.6, 5)))  # 20,480
    assert [severities(path, engine)["triangles"] for engine in ("", "blender", "unity", "roblox")] == ["ok", "ok", "warning", "error"]


def test_texture_space(tmp_path):
    apart, over = both(square(0.0, 0.4), square(0.6, 1.0)), both(square(0.0, 0.4), square(0.2, 0.6))
    assert uv_overlap(apart) == 0 and uv_overlap(over) == pytest.approx(0.04 / 0.28, rel=0.02)
    assert gutter(apart) == 8
    assert [gutter(both(square(0.0, 0.5), square(0.5 + texels / 128, 1.0)), 128) for texels in (0, 1, 2, 3, 5)] == [0, 1, 2, 3, 5]
    path = write(tmp_path / "over.glb", Model("over", over))
    found = severities(path)
    assert found["uv overlap"] == "warning" and found["uv range"] == "ok"
    assert severities(write(tmp_path / "tiled.glb", Model("tiled", square(0.0, 3.0))))["uv range"] == "note"
    median, spread = texel_density(both(square(0.0, 0.5), square(0.6, 0.7)), 1000)
    assert median == pytest.approx(500, rel=0.01) or median == pytest.approx(100, rel=0.01)
    assert spread == pytest.approx(5, rel=0.01)


def test_textures(tmp_path):
    odd = square(0.1, 0.9).replace(texture=np.zeros((48, 100, 3), np.uint8))
    assert severities(write(tmp_path / "odd.glb", Model("odd", odd)))["texture size"] == "warning"
    path = write(tmp_path / "webp.glb", Model("webp", square(0.1, 0.9)))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0", 1))
    assert [severities(path, engine)["texture format"] for engine in ("unreal", "web")] == ["error", "ok"]


def test_hulls(tmp_path):
    convex, dented = box(), letter_f()
    assert is_convex(convex) and not is_convex(dented)
    path = write(tmp_path / "f.glb", Model("f", box()), Model("UCX_f_00", dented, plain=True), Model("UCX_g_00", convex, plain=True))
    found = {(verdict.check, verdict.about): verdict.severity for verdict in lint(path, "unreal")}
    assert found["hull", "UCX_f_00"] == "error" and found["hull", "UCX_g_00"] == "ok"
    assert found["hull name", "UCX_f_00"] == "ok" and found["hull name", "UCX_g_00"] == "error"
    assert severities(path, "godot")["hull name"] == "error"


def test_size_pivot_and_names(tmp_path):
    far = box(center=(5, 0, 0))
    found = severities(write(tmp_path / "far.glb", Model("x", far), Model("x", box(center=(6, 0, 0)))))
    assert found["pivot"] == "warning" and found["names"] == "warning" and found["size"] == "ok"
    assert severities(write(tmp_path / "huge.glb", Model("huge", box((500, 1, 1)))))["size"] == "warning"


def test_levels_need_their_finer_ones(tmp_path):
    write(tmp_path / "f_LOD1.glb", Model("f", box()))
    assert severities(tmp_path / "f_LOD1.glb")["levels"] == "error"
    write(tmp_path / "f_LOD0.glb", Model("f", sphere()))
    assert severities(tmp_path / "f_LOD1.glb")["levels"] == "ok"
    wrong = write(tmp_path / "one.glb", Model("one_LOD0", box()), Model("one_LOD1", sphere()), group="one")
    assert severities(wrong)["levels"] == "error"
    write(tmp_path / "alone_collision.glb", Model("alone_box_00", box(), plain=True))
    assert severities(tmp_path / "alone_collision.glb")["collision file"] == "error"


@pytest.mark.slow
def test_the_command_says_it_by_exit_code_and_in_json(tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "meshwright.runtime.cli.main", "lint", *map(str, arguments)],
                              capture_output=True, text=True, timeout=120)

    clean = write(tmp_path / "clean.glb", Model("clean", box()))
    done = run(clean)
    assert done.returncode == 0 and "triangles          clean.glb: 12" in done.stdout and done.stdout.endswith("verdicts\n")
    assert run(write(tmp_path / "far.glb", Model("far", box(center=(9, 0, 0))))).returncode == 3
    broken = write(tmp_path / "inside.glb", Model("inside", box().replace(faces=box().faces[:, ::-1])))
    done = run("--json", "--for", "web", clean, broken)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["severity"] == "error" and [file["severity"] for file in report["files"]] == ["ok", "error"]
    (tmp_path / "no.glb").write_bytes(b"no mesh")
    done = run(tmp_path / "no.glb")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_a_file_that_is_no_mesh_is_bad_input(tmp_path):
    (tmp_path / "no.glb").write_bytes(b"glTF" + bytes(40))
    with pytest.raises(InputError):
        lint(tmp_path / "no.glb")
    assert set(LIMITS) == {"", *PRESETS}

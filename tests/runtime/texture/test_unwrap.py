import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture import unwrap as module
from meshwright.runtime.texture.atlas import rasterize
from meshwright.runtime.texture.unwrap import unwrap
from tests.processes import A_MOMENT, children_of, is_alive, wait_for
from tests.runtime.shapes import box, joined, letter_f, sphere, spiral_ramp

TIMEOUT = {"xatlas": 30.0, "box": 0.0}


def soup(count):
    corners = np.random.default_rng(5).uniform(-0.6, 0.6, (count, 1, 3))
    corners = corners + np.random.default_rng(6).normal(0, 0.05, (count, 3, 3))
    return Mesh(corners.reshape(-1, 3).astype(np.float32), np.arange(count * 3, dtype=np.int32).reshape(-1, 3))


MESHES = {
    "letter": split_at_creases(letter_f(detail=3)),
    "sphere": sphere(subdivisions=3),
    "apart": joined(box(), sphere(0.2), box((0.1, 2.0, 0.1), (0, 0, 2.0))),
    "spiral": spiral_ramp(),
    "soup": soup(300),
}


def uv_areas(mesh):
    corner = mesh.uvs[mesh.faces].astype(np.float64)
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    return (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2


@pytest.mark.parametrize("method", ["xatlas", "box"])
@pytest.mark.parametrize("name", MESHES)
def test_charts_fill_the_square_without_overlap(name, method):
    mesh = MESHES[name]
    done = unwrap(mesh, 256, TIMEOUT[method])
    assert done.method == method and bool(done.reason) == (method == "box")
    assert np.array_equal(done.mesh.triangles(), mesh.triangles())
    assert np.array_equal(done.source[done.mesh.faces], mesh.faces)
    assert done.mesh.uvs.min() >= 0 and done.mesh.uvs.max() <= 1
    texel = rasterize(done.mesh.uvs[done.mesh.faces], 256)[1]
    doubled = len(texel) - len(np.unique(texel))
    assert doubled <= 0.002 * len(texel)
    assert len(texel) > 0.15 * 256 ** 2


@pytest.mark.parametrize("name", ["letter", "sphere"])
def test_the_box_map_neither_mirrors_nor_stretches_much(name):
    done = unwrap(MESHES[name], 512, 0.0).mesh
    areas = uv_areas(done)
    assert (areas < 0).all()  # counter-clockwise for a viewer of the texture, whose v runs down
    density = -areas / MESHES[name].face_areas()
    assert density.max() / density.min() < 3


def test_normals_and_colours_come_along():
    mesh = MESHES["letter"].replace(colors=np.full((len(MESHES["letter"].vertices), 3), 7, np.uint8))
    done = unwrap(mesh, 64, 0.0).mesh
    assert np.array_equal(done.normals[done.faces], mesh.normals[mesh.faces])
    assert done.colors.shape == done.vertices.shape


@pytest.mark.parametrize("method", ["xatlas", "box"])
def test_the_result_repeats(method):
    one, two = (unwrap(MESHES["letter"], 128, TIMEOUT[method]).mesh for _ in range(2))
    assert one.uvs.tobytes() == two.uvs.tobytes() and one.faces.tobytes() == two.faces.tobytes()


def test_faces_without_area_do_no_harm():
    mesh = MESHES["letter"]
    flat = mesh.replace(faces=np.concatenate([mesh.faces, [[0, 0, 1], [2, 2, 2]]]).astype(np.int32))
    for timeout in TIMEOUT.values():
        done = unwrap(flat, 128, timeout).mesh
        assert np.array_equal(done.triangles(), flat.triangles()) and np.isfinite(done.uvs).all()


def test_an_empty_mesh_gives_an_empty_one():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    done = unwrap(empty, 64)
    assert done.method == "box" and done.mesh.uvs.shape == (0, 2)


def test_far_more_charts_than_texels_still_give_coordinates():
    done = unwrap(soup(2000), 16, 0.0).mesh
    assert np.isfinite(done.uvs).all() and done.uvs.min() >= 0 and done.uvs.max() <= 1


@pytest.fixture
def children(monkeypatch):
    """The child processes that were started, in order."""
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return started


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """worker(source): the child process runs this text instead of the real worker."""
    def install(source):
        path = tmp_path / "worker.py"
        path.write_text(source)
        monkeypatch.setattr(module, "WORKER", path)
    return install


def test_a_child_that_hangs_is_stopped_in_time(worker, children):
    worker("import time; time.sleep(300)")
    start = time.perf_counter()
    done = unwrap(MESHES["letter"], 128, timeout_s=0.5)
    assert time.perf_counter() - start < 60
    assert done.method == "box" and "longer than 0.5 s" in done.reason
    assert [child.returncode for child in children] == [-signal.SIGKILL]


def test_an_interrupt_leaves_no_child_behind(worker, children):
    worker("import time; time.sleep(300)")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            unwrap(MESHES["letter"], 128, timeout_s=60.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert [child.returncode for child in children] == [-signal.SIGKILL]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no signal for a parent's end")
def test_a_child_ends_with_a_parent_that_is_killed():
    """The real one, stopped so that it cannot end by itself."""
    code = ("from meshwright.runtime.texture.unwrap import unwrap; from tests.runtime.shapes import sphere\n"
            "unwrap(sphere(subdivisions=5), 512, timeout_s=60.0)")
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) as parent:
        assert wait_for(lambda: children_of(parent.pid))
        (child,) = children_of(parent.pid)
        assert wait_for(lambda: "xatlas" in Path(f"/proc/{child}/maps").read_text())
        os.kill(child, signal.SIGSTOP)
        parent.kill()
        assert wait_for(lambda: not is_alive(child), A_MOMENT)


def test_a_child_that_nobody_ends_ends_by_itself(tmp_path):
    """Fed by a parent that then forgets it, with the time limit of the worker."""
    mesh = sphere(subdivisions=5)
    command = module._command(512, -0.9)
    data = (np.array([len(mesh.vertices), len(mesh.faces)], "<i8").tobytes() + mesh.vertices.astype("<f4").tobytes()
            + mesh.faces.astype("<u4").tobytes())
    ended = subprocess.run(command, input=data, capture_output=True, timeout=60)
    assert ended.returncode == 1 and b"Timeout (0:00:00.1" in ended.stderr and ended.stdout == b""


def test_the_real_worker_is_stopped_too():
    done = unwrap(sphere(subdivisions=5), 512, timeout_s=0.1)
    assert done.method == "box" and "longer than" in done.reason


@pytest.mark.parametrize(("source", "reason"), [
    ("raise RuntimeError('no atlas today')", "no atlas today"),
    ("import os; os.abort()", "status -6"),
    ("print('hello')", "incomplete answer"),
    ("", "incomplete answer"),
])
def test_a_child_that_fails_is_replaced(worker, source, reason):
    worker(source)
    done = unwrap(MESHES["letter"], 128, timeout_s=60.0)
    assert done.method == "box" and reason in done.reason


def test_an_application_without_an_interpreter_gets_the_box_map(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/game/bin/game")
    assert "embeds Python" in unwrap(MESHES["letter"], 128).reason
    monkeypatch.undo()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "embeds Python" in unwrap(MESHES["letter"], 128).reason


def test_without_the_package_the_box_map_serves(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "not installed" in unwrap(MESHES["letter"], 128).reason


def test_very_large_meshes_go_to_the_box_map(monkeypatch):
    monkeypatch.setattr(module, "SLOW_ABOVE", 100)
    assert f"{len(MESHES['sphere'].faces)} faces" in unwrap(MESHES["sphere"], 128).reason


@pytest.mark.parametrize("size", [0, 8, 100])
def test_the_texture_size_is_a_power_of_two(size):
    with pytest.raises(InputError, match=f"texture size.*{size}"):
        unwrap(MESHES["letter"], size)

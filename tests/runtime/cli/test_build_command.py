"""`meshwright build` on a small pack: what is built, said, listed, pruned and refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from meshwright.runtime.pack.pack import Pack
from tests.engines import models
from tests.engines.platforms import TENSORRT_RTX
from tests.processes import A_MOMENT, children_of, is_alive, wait_for


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/engines"


def engines(cache):
    return sorted(path.name.rsplit("-", 1)[0] for path in cache.glob("*.engine"))


@TENSORRT_RTX
def test_chosen_components_are_built_once_listed_and_pruned(main, cache, tiny):
    ended = main("build", "tiny", "--backend", "tensorrt-rtx", "--component", "field_color", "--component", "text_encoder")
    assert ended.returncode == 0 and "2 of 2 engines built for tensorrt-rtx" in ended.stdout
    assert ended.stderr.startswith("[1/2] text_encoder ") and ended.stderr.count("\n") == 2
    assert engines(cache) == ["tiny-field_color", "tiny-text_encoder"]
    again = main("build", "tiny", "--component", "field_color", "--backend", "tensorrt-rtx")
    assert again.returncode == 0 and "0 of 1 engines built" in again.stdout and "1 were there, 0 failed" in again.stdout
    listed = main("build", "--list").stdout.splitlines()
    assert len(listed) == 3 and listed[0].startswith("tiny/field_color ") and "tensorrt-rtx" in listed[0] and str(cache) in listed[2]
    (cache / "foreign.engine").write_bytes(b"ptrt")
    listed = main("build", "--list").stdout.splitlines()
    assert any("damaged: foreign.engine is not an engine of this release" in line for line in listed)
    assert listed[-1].startswith("2 engines, ") and listed[-1].endswith(f" MB, 1 damaged in {cache}")
    pruned = main("build", "--prune")
    assert pruned.returncode == 0 and pruned.stdout.startswith("foreign.engine: ") and "1 files deleted" in pruned.stdout
    assert len(engines(cache)) == 2


@TENSORRT_RTX
def test_engines_are_put_into_the_pack_and_found_there_first(main, cache, tiny, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny, tmp_path / "shipped")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = ("build", folder, "--backend", "tensorrt-rtx", "--component", "field_color")
    ended = main(*run, "--into-pack")
    assert ended.returncode == 0 and "1 engines, 0." in ended.stdout and f" MB in {folder / 'engines'}" in ended.stdout
    assert engines(folder / "engines") == ["tiny-field_color"]
    with monkeypatch.context() as patch:
        patch.delenv("MESHWRIGHT_TRUSTED")
        assert {path: path.read_bytes() for path in files} == files and Pack.open(folder).engines_untrusted is None
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "another"))
    again = main(*run)
    assert "1 were there" in again.stdout and not list((tmp_path / "another/engines").glob("*.engine"))


@TENSORRT_RTX
def test_capabilities_that_are_listed_are_built_for(main, cache):
    ended = main("build", "tiny", "--backend", "tensorrt-rtx", "--component", "field_color", "--capabilities", "7.5,8.6")
    assert ended.returncode == 0 and "  compute capability 7.5 8.6  " in main("build", "--list").stdout
    for wrong in ("9.0", "", "8.6,"):
        refused = main("build", "tiny", "--backend", "tensorrt-rtx", "--capabilities", wrong)
        assert refused.returncode == 2 and "expected some of 7.5,8.0,8.6,8.9,12.0,12.1" in refused.stderr


@TENSORRT_RTX
def test_a_component_that_cannot_be_built_keeps_no_other_from_it(main, cache, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "odd")
    document = json.loads((folder / "pack.json").read_text())
    file = document["components"]["text_encoder"]["file"]
    models.nonzero(folder / file)
    document["files"][file] = {"sha256": sha256((folder / file).read_bytes()).hexdigest(), "bytes": (folder / file).stat().st_size}
    document["components"]["text_encoder"]["inputs"][0]["shape"] = ["batch"]
    (folder / "pack.json").write_text(json.dumps(document))
    ended = main("build", folder, "--component", "text_encoder", "--component", "field_color", "--backend", "tensorrt-rtx")
    assert ended.returncode == 1 and engines(cache) == ["tiny-field_color"]
    assert "text_encoder  failed" in ended.stderr and "1 of 2 engines built" in ended.stdout and "1 failed" in ended.stdout


@TENSORRT_RTX
def test_a_cache_that_cannot_be_written(main, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CACHE", "/proc/nowhere")
    ended = main("build", "tiny", "--backend", "tensorrt-rtx", "--component", "field_color")
    assert ended.returncode == 2 and ended.stdout == "" and ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("meshwright: the engine cache /proc/nowhere/engines cannot be written; received ")
    assert "set MESHWRIGHT_CACHE to a folder" in ended.stderr


@TENSORRT_RTX
def test_an_unknown_component_lists_the_known_ones(main):
    ended = main("build", "tiny", "--backend", "tensorrt-rtx", "--component", "unet")
    assert ended.returncode == 2 and "pack tiny has no such component; received unet; expected text_encoder, " in ended.stderr


@TENSORRT_RTX
@pytest.mark.parametrize(("number", "send"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)], ids=["ctrl-c", "SIGTERM"])
def test_a_signal_ends_the_build_and_leaves_nothing(cache, number, send):
    """In the middle of the largest network of the bundled pack; from a terminal, both processes get the signal."""
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "build", "props", "--backend", "tensorrt-rtx",
               "--component", "refiner_step"]
    ended = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while not (cache / "lock").exists() and ended.poll() is None:
        time.sleep(0.02)
    time.sleep(0.5)
    send(ended.pid, number)
    out, said = ended.communicate(timeout=60)
    assert (ended.returncode, out, said) == (128 + number, "", "meshwright: stopped\n")
    assert [path.name for path in cache.iterdir()] == ["lock"]


@pytest.mark.slow
@TENSORRT_RTX
def test_a_build_that_is_killed_takes_its_worker_along(cache):
    """The lock is free when both have ended, and not before; what they leave, the next build sweeps."""
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "build", "props", "--backend", "tensorrt-rtx", "--component"]
    with subprocess.Popen([*command, "refiner_step"], stderr=subprocess.DEVNULL) as build:
        assert wait_for(lambda: children_of(build.pid))
        (worker,) = children_of(build.pid)
        assert wait_for(lambda: "tensorrt_rtx" in Path(f"/proc/{worker}/maps").read_text())
        os.kill(worker, signal.SIGSTOP)  # it must not find out by itself
        assert is_alive(worker) and build.poll() is None
        build.kill()
        assert wait_for(lambda: not is_alive(worker), A_MOMENT)
    (cache / ".build-0.raw.part").write_bytes(b"of one that was killed while it wrote")
    subprocess.run([*command, "field_color"], check=True, capture_output=True, timeout=60)
    assert [path.suffix for path in sorted(cache.iterdir())] == ["", ".engine"]


@TENSORRT_RTX
def test_quiet_says_nothing(main, cache):
    ended = main("build", "tiny", "--backend", "tensorrt-rtx", "--component", "field_color", "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "") and len(engines(cache)) == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("tiny", "--backend", "abacus"), "there is no backend 'abacus' that builds engines; expected tensorrt or tensorrt-rtx"),
    ((), "no pack to build was named; expected meshwright build PACK"),
    (("--list", "--into-pack"), "--list and --prune are about the whole cache"),
    (("tiny", "--list"), "--list and --prune are about the whole cache"),
    (("--list", "--refit"), "--list and --prune are about the whole cache"),
    (("--list", "--prune"), "not allowed with argument"),
])
def test_what_is_refused(main, cache, arguments, message):
    ended = main("build", *arguments)
    assert ended.returncode == 2 and ended.stdout == "" and message in ended.stderr and ended.stderr.count("\n") == 1
    assert not cache.exists()


def test_an_empty_cache(main, cache):
    assert main("build", "--list").stdout == f"0 engines, 0.0 MB in {cache}\n"
    assert main("build", "--prune").stdout == f"0 files deleted from {cache}\n"
    assert not cache.exists()


WITHOUT = """
import sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorrt", "tensorrt_rtx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Forbid())
import importlib.util
whole = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.startswith("tensorrt") else whole(name, *rest)
from meshwright.runtime.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("backend", "message"), [
    ((), "neither TensorRT nor TensorRT-RTX is installed; pip install 'meshwright[tensorrt]' or "
         "pip install tensorrt-cu13 cuda-core cuda-bindings"),
    (("--backend", "tensorrt"), "the package tensorrt is not installed; pip install tensorrt-cu13 cuda-core cuda-bindings"),
    (("--backend", "tensorrt-rtx"), "the package tensorrt_rtx is not installed; pip install 'meshwright[tensorrt]'"),
])
def test_a_missing_package(tiny, cache, backend, message):
    ended = subprocess.run([sys.executable, "-c", WITHOUT, "build", str(tiny), *backend], capture_output=True, text=True, timeout=60,
                           env=dict(os.environ))
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"meshwright: {message}\n")
    assert not cache.exists()

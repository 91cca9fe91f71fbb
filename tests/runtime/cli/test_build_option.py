"""Engines that the command line builds, for a simulated GPU."""

import json

from meshwright.engines.errors import EngineError, OutputError
from meshwright.engines.tensorrt import loader as engine_loader
from tests.engines.platforms import TENSORRT_RTX
from tests.runtime import tiny_pack


@TENSORRT_RTX
def test_generate_builds_what_is_missing_when_asked(main, gpu, tmp_path):
    ended = main("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--faces", 500,
                 "--threads", 1, "--json")
    assert ended.returncode == 0, ended.stderr
    assert gpu.built == list(tiny_pack.GRAPHS) and "tiny: 11 of 11 engines built for tensorrt-rtx 1.7" in ended.stderr
    assert "relative error" in ended.stderr
    told = json.loads(ended.stdout)
    assert told["backend"] == "tensorrt-rtx" and min(told["device_memory"].values()) > 0
    checked = main("verify", "tiny", "--threads", 1)
    assert checked.returncode == 0 and checked.stdout.count("  on tensorrt-rtx  ok") == len(tiny_pack.GRAPHS)


@TENSORRT_RTX
def test_a_gpu_that_vanishes_in_a_check_leaves_the_other_engines(main, gpu, tiny, tmp_path, monkeypatch):
    def start():
        cuda = gpu._start()
        cuda.refuses, cuda.breaks = {"execute"}, True
        return cuda

    monkeypatch.setattr("meshwright.engines.cuda.device.Cuda", start)
    ended = main("build", "tiny", "--backend", "tensorrt-rtx")
    assert ended.returncode == 1 and gpu.built == list(tiny_pack.GRAPHS)
    assert "10 of 11 engines built" in ended.stdout and ended.stderr.count("meshwright: the GPU stopped answering") == 1
    assert not list((tmp_path / "cache/engines").glob("*.record"))


@TENSORRT_RTX
def test_what_failed_is_told_of_though_the_disk_fills_up_later(main, gpu, monkeypatch):
    def refuse(order, out, on_progress, lock):
        if order.model.stem == "text_encoder":
            raise EngineError("the range of an open axis")
        raise OutputError(f"{out} cannot be written", received="No space left on device")

    monkeypatch.setattr(engine_loader, "build_to", refuse)
    ended = main("build", "tiny", "--backend", "tensorrt-rtx")
    assert ended.returncode == 2 and "meshwright: the range of an open axis\nmeshwright: " in ended.stderr


@TENSORRT_RTX
def test_a_cache_that_cannot_be_written_keeps_no_mesh_from_being_made(main, gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CACHE", "/proc/nowhere")
    ended = main("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--faces", 500,
                 "--threads", 1)
    assert ended.returncode == 0 and (tmp_path / "a.glb").is_file()
    assert ended.stderr.startswith("note: engines are missing: the engine cache /proc/nowhere/engines cannot be written; received ")


def test_build_where_nothing_can_be_built(main, tmp_path):
    run = ("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--threads", 1)
    ended = main(*run)
    assert ended.returncode == 0 and ended.stderr.startswith("note: no engines are built: ") and (tmp_path / "a.glb").is_file()
    refused = main(*run, "--backend", "onnxruntime")
    assert refused.returncode == 2 and "--build builds engines for TensorRT; received backend onnxruntime" in refused.stderr

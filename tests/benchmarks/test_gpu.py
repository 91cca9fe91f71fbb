"""The GPU benchmark: what it asks, who takes part, and the whole script. No GPU."""

import json
import time

import numpy as np
import pytest

from benchmarks import gpu, gpu_inputs
from benchmarks.gpu_process import Process
from benchmarks.gpu_sides import SIDES, one_way
from meshwright.engines.machine.hardware import Gpu, Hardware, Host
from meshwright.runtime.pack.golden import Golden
from meshwright.runtime.pack.pack import Pack
from tests.benchmarks.test_gpu_process import Pretended

HOST = Host("Linux x86_64", "a processor", 2, 1 << 34, 1 << 33)
NO_GPU = Hardware(HOST, (), None, None, "no NVIDIA driver was found")
ONE_GPU = Hardware(HOST, (Gpu(0, "NVIDIA H200", "9.0", 1 << 37, 1 << 37),), "580.65", "13.0", None)


def test_a_loop_is_asked_as_the_recipe_does():
    pack = Pack.open("props", verify=False)
    kind, loop = "refiner_step", pack.manifest.refiner
    assert list(gpu_inputs.loops_of(pack))[:2] == ["prior_step", kind]
    carry, per_step, constants = gpu_inputs.loop_arguments(Golden(pack), pack.component(kind), loop, 3)
    assert set(carry) == {"latent", "previous"} and set(per_step) == {"row", "noise"} and set(constants) == {"states", "coarse"}
    assert carry["latent"].shape == loop.latent_shape and not carry["previous"].any()
    assert per_step["row"].shape == (3, 9) and per_step["noise"].shape == (3, *loop.latent_shape)


def test_fields_are_asked_about_as_many_points_as_in_a_run():
    pack = Pack.open("props", verify=False)
    inputs = gpu_inputs.step_inputs(Golden(pack), pack.component("field_geometry"))
    assert inputs["points"].shape == (1, 65_536, 3)
    assert np.array_equal(gpu_inputs.lengthened(np.arange(6).reshape(1, 3, 2), 1, 5)[0, :, 0], [0, 2, 4, 0, 2])


def test_each_way_of_launching_is_measured_by_itself():
    assert (one_way(True).graphs, one_way(False).graphs) == ("always", "never")


def notes_of(tmp_path, hardware=NO_GPU):
    return gpu.Notes(tmp_path / "gpu.json", {"device": hardware.gpus[0].name if hardware.gpus else None, "packs": {}, "left_out": {}})


def test_who_takes_part():
    names = {name for name, side in SIDES.items() if side.gpu}
    assert names == {"eager", "compiled", "ort", "ort-graph", "trt", "trt-graph"}


def test_without_a_gpu_the_cpus_sides_take_part(tmp_path):
    notes = notes_of(tmp_path)
    assert gpu.sides_for(NO_GPU, {"checkpoints": "there"}, notes) == ["eager-cpu", "ort-cpu"]
    assert gpu.sides_for(NO_GPU, None, notes) == ["ort-cpu"]
    assert notes.document["left_out"]["TensorRT, one graph a loop"] == "no NVIDIA driver was found"
    assert notes.document["left_out"]["PyTorch eager, CPU"] == "neither --checkpoints nor --published was given"


def test_with_a_gpu_its_sides_take_part(tmp_path):
    notes = notes_of(tmp_path, ONE_GPU)
    assert gpu.sides_for(ONE_GPU, {"published": "there"}, notes) == ["eager", "compiled", "ort", "ort-graph", "trt", "trt-graph"]
    assert gpu.sides_for(ONE_GPU, None, notes) == ["ort", "ort-graph", "trt", "trt-graph"]


def test_figures_of_another_device_are_refused(tmp_path):
    notes_of(tmp_path).save()
    with pytest.raises(SystemExit, match="holds figures of no GPU"):
        notes_of(tmp_path, ONE_GPU)


def test_the_bundled_pack_on_the_cpu_and_on_with_it_where_it_stopped(tmp_path, monkeypatch):
    """The script itself, in short: one component's parts are asked of real processes, and not asked again."""
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    options = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--rounds", "1", "--most", "1", "--budget", "0",
               "--threads", "1", "--steps", "1", "--parts", "peaks", "build", "check", "work", "loop"]
    monkeypatch.setattr(gpu, "detect_hardware", lambda: NO_GPU)
    gpu.main([*options, "--seconds", "300"])
    first = json.loads((tmp_path / "out/gpu.json").read_text())
    found = first["packs"]["props"]
    components = Pack.open("props", verify=False).manifest.components
    assert set(found["check"]) == set(components) and all(each["ort-cpu"]["passed"] for each in found["check"].values())
    assert found["loop"]["refiner_step"]["ort-cpu"]["ms"][0] > 0 and "work" not in found and "build" not in found
    asked = []
    monkeypatch.setattr(Process, "ask", lambda self, limit, **request: asked.append(request))
    gpu.main([*options, "--seconds", "300"])
    assert asked == [] and json.loads((tmp_path / "out/gpu.json").read_text()) == first


def test_a_side_that_cannot_start_here_is_left_out_and_the_rest_is_measured(tmp_path, monkeypatch):
    """As if there were a GPU: none of its sides starts where there is none, and each says why."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gpu, "detect_hardware", lambda: ONE_GPU)
    gpu.main(["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--parts", "check", "--sides", "ort", "trt",
              "--threads", "1", "--rounds", "1"])
    document = json.loads((tmp_path / "out/gpu.json").read_text())
    assert "BackendUnavailable" in document["left_out"]["ONNX Runtime CUDA"] and "TensorRT, plain launches" in document["left_out"]
    found = document["packs"]["props"]["check"]["text_encoder"]
    assert found["ort-cpu"]["passed"] and "failed" in found["ort"] and "failed" in found["trt"]
    assert "H200" in (tmp_path / "out/gpu.md").read_text()


def test_what_there_is_no_time_for_is_left_out(tmp_path):
    notes, asked = notes_of(tmp_path), []
    side = Pretended("ort-cpu", [], asked)
    effort = gpu.Effort((1, 1), 0, 1, time.monotonic() - 1, None)
    measuring = gpu.Measuring(Pack.open("props", verify=False), notes, effort, {"ort-cpu": side}, side, tmp_path, None)
    measuring.run(["loop"])
    assert notes.document["left_out"]["props: loop prior_step"] == "the time was over" and asked == []

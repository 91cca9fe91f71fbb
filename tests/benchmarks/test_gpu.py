"""The logic of the GPU benchmark: turns, time limits, shares, bars, pages. No GPU: the sides here only pretend to measure."""

import json
import sys
import time

import numpy as np
import pytest

from benchmarks import gpu, gpu_inputs, gpu_process
from benchmarks.gpu_clock import HostClock, StreamClock
from benchmarks.gpu_page import page, plot
from benchmarks.gpu_process import Process, interleaved
from benchmarks.gpu_sides import SIDES, Always, Task
from benchmarks.gpu_summary import bars, fastest, figures, ratio, shares
from meshwright.engines.graph_choice import GraphChoice
from meshwright.engines.hardware import Gpu, Hardware, Host
from meshwright.runtime.golden import Golden
from meshwright.runtime.pack import Pack

HOST = Host("Linux x86_64", "a processor", 2, 1 << 34, 1 << 33)
NO_GPU = Hardware(HOST, (), None, None, "no NVIDIA driver was found")
ONE_GPU = Hardware(HOST, (Gpu(0, "NVIDIA H200", "9.0", 1 << 37, 1 << 37),), "580.65", "13.0", None)


class Pretended:
    """Answers with the given milliseconds, one each time; a text in their place is a failure. calls : shared with the others"""

    def __init__(self, name, times, calls):
        self.name, self.times, self.calls = name, list(times), calls

    def ask(self, limit, **request):
        self.calls.append((self.name, request.get("repeat")))
        found = self.times.pop(0)
        return {"failed": found} if isinstance(found, str) else {"ms": [found] * request.get("repeat", 1), "events": True}


class Ticks:
    """A clock that moves by one at each look."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


# Turns

def test_sides_take_turns_and_the_first_answer_is_cold():
    calls = []
    sides = {"a": Pretended("a", [90, 1, 2, 3], calls), "b": Pretended("b", [80, 4, 5, 6], calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=9)
    assert [name for name, _ in calls] == ["a", "b"] * 4 and {repeat for _, repeat in calls} == {None}
    assert found["a"] == {"ms": [1, 2, 3], "runs": [], "cold_ms": 90, "events": True} and found["b"]["ms"] == [4, 5, 6]


def test_a_side_that_fails_is_asked_no_more_and_leaves_the_rest():
    calls = []
    sides = {"a": Pretended("a", ["no engine"], calls), "b": Pretended("b", [8, 4, "lost", 5], calls), "c": Pretended("c", [1] * 9, calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=3)
    assert found["a"] == {"failed": "no engine"} and found["b"] == {"failed": "lost"} and found["c"]["ms"] == [1, 1, 1]
    assert [name for name, _ in calls] == ["a", "b", "c", "b", "c", "b", "c", "c"]


def test_rounds_go_on_until_the_budget_is_spent():
    sides = {"a": Pretended("a", [1.0] * 99, [])}
    found = interleaved(sides, {"do": "run"}, budget=5.5, limit=9, fewest=2, most=50, now=Ticks())
    assert len(found["a"]["ms"]) == 7  # two without a look at the clock, then one a second


def test_short_work_is_repeated_within_an_answer():
    calls = []
    sides = {"fast": Pretended("fast", [500.0, 2.0, 2.0], calls), "slow": Pretended("slow", [300.0, 200.0, 200.0], calls)}
    found = interleaved(sides, {"do": "step"}, budget=0, limit=9, fewest=2, most=2, repeat_ms=100)
    assert [repeat for name, repeat in calls if name == "fast"] == [1, 1, 50]
    assert [repeat for name, repeat in calls if name == "slow"] == [1, 1, 1]
    assert len(found["fast"]["ms"]) == 51


def test_events_of_a_stream_and_the_hosts_clock():
    class Cuda:
        def __init__(self):
            self.log, self.moment = [], 0.0

        def synchronise(self):
            self.log.append("wait")

        def record(self):
            self.log.append("event")
            return self.moment

        def milliseconds(self, first, last):
            return last - first

    cuda = Cuda()

    def work():
        cuda.log.append("work")
        cuda.moment += 2.5

    assert StreamClock(cuda).milliseconds(work) == 2.5 and cuda.log == ["wait", "event", "work", "event"]
    assert HostClock(Ticks()).milliseconds(work) == 1000.0
    assert StreamClock.events and not HostClock.events


# Processes

@pytest.fixture
def started(tmp_path, monkeypatch):
    """A function from the code of a worker to its process."""
    processes = []

    def start(code):
        (tmp_path / "worker.py").write_text(code)
        popen = gpu_process.subprocess.Popen
        monkeypatch.setattr(gpu_process.subprocess, "Popen",
                            lambda command, **options: popen([sys.executable, str(tmp_path / "worker.py"), command[-1]], **options))
        processes.append(Process(Task("ort-cpu", "props"), tmp_path / "log"))
        return processes[-1]
    yield start
    for process in processes:
        process.close()


ANSWERING = """
import json, os, sys, time
print(json.dumps({"ready": json.loads(sys.argv[1])["side"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "crash":
        os._exit(7)
    if request["do"] == "hang":
        time.sleep(60)
    print(json.dumps({"asked": request, "process": os.getpid()}), flush=True)
"""


def test_a_process_that_crashes_or_hangs_is_told_and_starts_again(started):
    process = started(ANSWERING)
    first = process.ask(30, do="run", steps=2)
    assert first["asked"] == {"do": "run", "steps": 2}
    assert process.ask(30, do="crash") == {"failed": "crash: the process ended with code 7, see log"}
    second = process.ask(30, do="run")
    began = time.monotonic()
    assert process.ask(0.3, do="hang") == {"failed": "hang: no answer within the time limit"} and time.monotonic() - began < 5
    third = process.ask(30, do="run")
    assert len({answer["process"] for answer in (first, second, third)}) == 3


def test_a_side_that_cannot_start_is_tried_once(started, tmp_path):
    process = started("import json, pathlib\nstarts = pathlib.Path(__file__).with_name('starts')\n"
                      "starts.write_text(starts.read_text() + '1' if starts.exists() else '1')\n"
                      "print(json.dumps({'failed': 'no GPU'}), flush=True)")
    assert process.ask(30, do="step") == process.ask(30, do="run") == {"failed": "no GPU"}
    assert (tmp_path / "starts").read_text() == "1" and process.never == {"failed": "no GPU"}


def test_a_real_side_answers(tmp_path):
    """ONNX Runtime on the CPU, the bundled pack: a check against the golden tensors, a step, a loop, and an error."""
    process = Process(Task("ort-cpu", "props", threads=1), tmp_path / "log")
    try:
        checked = process.ask(120, do="check", kind="text_encoder", reference=str(tmp_path / "reference.npz"))
        assert checked["passed"] and 0 <= checked["relative"] < checked["tolerance"] and (tmp_path / "reference.npz").is_file()
        again = process.ask(120, do="check", kind="text_encoder", reference=str(tmp_path / "reference.npz"))
        assert again["relative"] == 0
        assert len(process.ask(120, do="step", kind="text_encoder", repeat=3)["ms"]) == 3
        loop = process.ask(120, do="loop", kind="prior_step", steps=2, repeat=1)
        assert loop["ms"][0] > 0 and loop["events"] is False
        assert process.ask(120, do="work", kind="text_encoder")["failed"].startswith("AttributeError")  # only PyTorch counts
        assert "none_such" in process.ask(120, do="step", kind="none_such", repeat=1)["failed"]
    finally:
        process.close()


# What is asked

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
    choice = GraphChoice(True)
    always = Always(choice)
    always.keep("any", GraphChoice(False))
    assert always.find("any") is choice


# Figures

def measured(**medians):
    return {name.replace("_", "-"): {"ms": [0.9 * ms, ms, 1.1 * ms], "cold_ms": 9 * ms, "events": True, "host_bytes": 1 << 30,
                                     "device_bytes": 1 << 31, "runs": [{"text": k * ms / 1000, "total": k * ms / 1000} for k in (1, 3, 2)]}
            for name, ms in medians.items()}


def whole(run, loop, step):
    return {"run": {"prompt": run}, "loop": {"refiner_step": loop}, "step": {"refiner_step": step},
            "work": {"refiner_step": {"operations": 6e12, "bytes": 2e9}}}


PEAKS = {"matrix_flops": 800e12, "matrix_side": 8192, "copy_bytes": 4e12, "why_not": None}


def test_medians_and_ninetieth_percentiles():
    assert figures({"ms": [1, 2, 3, 4, 100]}) == {"median": 3, "p90": pytest.approx(61.6), "count": 5}
    assert figures({"failed": "x"}) is None and figures({"ms": []}) is None


def test_ratios_and_the_faster_way():
    found = measured(eager=10.0, trt=4.0, trt_graph=3.0)
    assert ratio(found, "trt", "eager") == pytest.approx(0.4) and ratio(found, "trt", "compiled") is None
    assert fastest(found) == "trt-graph" and fastest(measured(eager=1.0)) is None
    assert fastest({**found, "trt-graph": {"failed": "no capture"}}) == "trt"


def test_shares_of_the_cards_rates():
    assert shares({"operations": 6e12, "bytes": 2e9}, 10.0, PEAKS) == {"matrix": pytest.approx(0.75), "copy": pytest.approx(0.05)}
    assert shares({"operations": 1, "bytes": 1}, 1.0, {"matrix_flops": None, "copy_bytes": None}) == {"matrix": None, "copy": None}


def test_bars_that_are_met():
    pack = whole(measured(eager=8000.0, compiled=4000.0, trt=2600.0, trt_graph=2500.0), measured(trt=100.0, trt_graph=99.0),
                 measured(trt=12.0, trt_graph=10.0))
    rows = {bar["measure"]: bar for bar in bars(pack, PEAKS)}
    assert rows["end to end, share of PyTorch eager"]["value"] == pytest.approx(0.3125)
    assert rows["end to end, share of torch.compile with CUDA graphs"]["met"]
    assert rows["refiner_step: one graph a loop, share of plain launches"]["met"]
    assert rows["prompt to GLB, s"]["met"] and rows["prompt to GLB, s (stretch)"]["met"] is False
    assert rows["refiner step, share of the card's FP16 matrix peak"]["value"] == pytest.approx(0.75)


def test_bars_that_are_missed_or_were_not_measured():
    slow = whole(measured(eager=8000.0, trt=7000.0), measured(trt=100.0, trt_graph=110.0), measured(trt=100.0))
    assert {bar["met"] for bar in bars(slow, PEAKS) if bar["value"] is not None} == {False}
    assert {bar["met"] for bar in bars({}, None)} == {None}


def document(device, packs):
    return {"date": "2026-11-21", "machine": {"processor": "any", "cores": 2, "python": "3.12"}, "device": device, "packs": packs,
            "versions": {"torch": "2.11"}, "peaks": PEAKS if device else None, "left_out": {"a": "no time", "b": "no time"}}


def test_the_page_of_a_gpu(tmp_path):
    loop = {**measured(eager=300.0, trt=100.0), "trt-graph": {"failed": "no capture"}}
    pack = whole(measured(eager=8000.0, trt=2600.0, trt_graph=2500.0), loop, measured(eager=30.0, trt=12.0))
    pack |= {"check": {"refiner_step": {"ort-cpu": {"relative": 1e-3, "passed": True, "against": "golden outputs"},
                                        "trt": {"relative": 0.5, "passed": False, "against": "ONNX Runtime CPU"}}},
             "build": {"engines": {"seconds": 9, "failed": None, "engines": {"refiner_step": {"seconds": 8.5, "bytes": 2_000_000}}}},
             "cold": {"prompt": {"command": {"ms": [4200.0], "host_bytes": 3 << 30}}}}
    text = page(json.loads(json.dumps(document("NVIDIA H200", {"small": pack}))))
    assert "| prompt | 8000 (8640) | 2600 (2808), x 0.33 | 2500 (2700), x 0.31 |" in text
    assert "| refiner_step | 300 (324) | 100 (108), x 0.33 | failed |" in text
    assert "FAILED: loop refiner_step on TensorRT, one graph a loop: no capture" in text
    assert "| refiner_step | ONNX Runtime CPU | 5.0e-01 TOO LARGE | 1.0e-03 |" in text
    assert "| text | 16.0000 | 5.2000 | 5.0000 |" in text
    assert "| refiner_step | 6000 | 2000 | 12 | 62.5 % | 4.2 % |" in text and "| refiner_step | 8.5 | 2.0 |" in text
    assert "| meshwright generate, a fresh process | 4.20 | 3.00 | - |" in text and "- a; b: no time" in text
    plot(document("NVIDIA H200", {"small": pack}), tmp_path / "gpu.png")
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_without_a_gpu_says_so(tmp_path):
    text = page(document(None, {"props": {}}))
    assert "NO GPU: everything below ran on the processor" in text and "TFLOP" not in text
    plot(document(None, {"props": {}}), tmp_path / "gpu.png")
    assert not (tmp_path / "gpu.png").exists()


# The whole

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
    monkeypatch.setattr(gpu, "look", lambda: NO_GPU)
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
    monkeypatch.setattr(gpu, "look", lambda: ONE_GPU)
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

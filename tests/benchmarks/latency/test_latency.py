import json

import pytest

from benchmarks.latency import __main__ as latency
from benchmarks.latency import side
from benchmarks.latency import start as starts


def run_of(total, network):
    return {"total": total, "stages": {"text": 0.1 * total, "surface": 0.9 * total},
            "memory": {"text": 100.0, "surface": 300.0 + total},
            "networks": {"text_encoder": network, "reconstructor": 2 * network}, "matting": total / 10}


def side_of(network, tasks=("prompt",)):
    runs = [run_of(total, network) for total in (9.0, 1.0, 2.0, 3.0)]
    return {"start": {"start": 0.5, "memory": 80.0}, "runs": {task: {"cold": runs[0], "warm": runs[1:]} for task in tasks},
            "golden": {"relative": {"text_encoder": 1e-3}, "passed": True}}


def test_the_first_run_is_cold_and_the_others_are_warm():
    found = latency.stages(side_of(0.1)["runs"]["prompt"])
    assert list(found) == ["text", "surface", "total"]
    assert found["total"] == pytest.approx({"cold": 9.0, "median": 2.0, "p90": 2.8, "memory": 309.0})
    assert found["text"] == pytest.approx({"cold": 0.9, "median": 0.2, "p90": 0.28, "memory": 100.0})


def test_bars_compare_the_networks_of_both_sides():
    found, start = {"runtime": side_of(0.1), "eager": side_of(0.2)}, {"seconds": 4.0, "import": 0.4, "memory": 500.0}
    rows = {bar["measure"]: bar for bar in latency.bars(found, start, None)}
    assert rows["prompt: network time, share of PyTorch eager"]["value"] == pytest.approx(0.5)
    assert rows["import meshwright.runtime, s"]["met"] is False and rows["process start to GLB, s"]["met"] is True
    assert rows["resident memory, MB"]["value"] == 500.0
    assert rows["installed without extras, MB"]["met"] is None
    alone = latency.bars({"runtime": side_of(0.1)}, start, {"megabytes": 401.0})
    assert [bar["met"] for bar in alone] == [True, None, None, None, None, True, False, True, False]


def test_pictures_have_bars_of_their_own():
    both = ("prompt", "picture")
    found, start = {"runtime": side_of(0.1, both), "eager": side_of(0.2, both)}, {"seconds": 4.0, "import": 0.4, "memory": 1.0}
    rows = {bar["measure"]: bar for bar in latency.bars(found, start, None)}
    assert rows["warm picture to GLB, s"] == {"measure": "warm picture to GLB, s", "most": 6.0, "value": 2.0, "met": True}
    assert rows["picture: network time, share of PyTorch eager"]["value"] == pytest.approx(0.5)
    assert rows["cutting the object out, s"]["value"] == pytest.approx(0.2)


def test_the_page_shows_both_sides():
    both = ("prompt", "picture")
    found, start = {"runtime": side_of(0.1, both), "eager": side_of(0.2, both)}, {"seconds": 4.0, "import": 0.2, "memory": 500.0}
    document = {"pack": {"name": "tiny", "sha256": "0" * 64}, "machine": {"processor": "any", "cores": 2}, "threads": 2,
                "rounds": 3, "bars": latency.bars(found, start, None),
                "stages": latency.by_task(found, latency.stages), "networks": latency.by_task(found, latency.networks), "start": start,
                "installed": None, "golden": {side: runs["golden"] for side, runs in found.items()}}
    text = latency.page(json.loads(json.dumps(document)))
    assert "| text_encoder | 0.1000 | 0.2000 | 0.50 |" in text
    assert "| total | 9.000 | 2.000 | 2.800 | 309 |" in text
    assert text.index("## A prompt, PyTorch eager") < text.index("## A picture, meshwright: seconds")


def test_time_of_a_component_adds_up_even_when_it_fails():
    class Broken:
        def run(self, inputs):
            raise ValueError(inputs)

        def scan(self, carry, per_step, constants, *, keep=False, on_step=None):
            return {"carry": (carry, per_step, constants, keep, on_step)}

    seconds = {"x": 0.0}
    engine = side.TimedEngine(Broken(), "x", seconds)
    with pytest.raises(ValueError):
        engine.run({})
    before = seconds["x"]
    assert before > 0 and engine.scan(1, 2, 3, on_step=4, keep=True) == {"carry": (1, 2, 3, True, 4)} and seconds["x"] > before


@pytest.mark.slow
def test_runs_of_the_bundled_pack_are_timed(tmp_path):
    ours = side.Side("runtime", "props", 1)
    with ours.pipeline:
        found = ours.run(prompt="a red crate", seed=0)
        tasks = latency.tasks_of(ours.pipeline.pack, 0, tmp_path)
        seen = ours.run(**tasks["picture"][0])
    assert 0 < seen["matting"] < seen["stages"]["picture"] and seen["networks"].keys() >= {"views_step", "image_encoder"}
    assert found["matting"] == 0 and tasks["prompt"] == [{"seed": 0, "prompt": latency.PROMPTS[0]}]
    assert found["glb_bytes"] > 10_000 and set(found["stages"]) >= {"text", "refined views", "texture", "write GLB"}
    assert found["networks"].keys() >= {"text_encoder", "prior_step", "refiner_step", "reconstructor", "field_geometry"}
    assert all(spent > 0 for spent in found["networks"].values()) and sum(found["networks"].values()) < found["total"]


def test_size_of_an_environment(tmp_path):
    for name, size in (("numpy", 1000), ("pip", 5000), ("setuptools-1.dist-info", 5000), ("torch", 2000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * size)
    (tmp_path / "six.py").write_bytes(b"x" * 500)
    found = starts.size_of(tmp_path)
    assert found["megabytes"] == pytest.approx(0.0035) and found["training"] == ["torch"]
    assert list(found["largest"]) == ["torch", "numpy", "six.py"]


def test_import_time_is_measured_in_fresh_processes(monkeypatch):
    monkeypatch.setattr(starts, "IMPORT", "print(0.25)")
    assert starts.import_seconds(1) == 0.25

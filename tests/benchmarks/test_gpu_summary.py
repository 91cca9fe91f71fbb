"""What the GPU benchmark makes of its figures: ratios, shares of the card's rates, bars, the page."""

import json

import pytest

from benchmarks.gpu_page import page, plot
from benchmarks.gpu_summary import bars, fastest, figures, ratio, shares
from meshwright.engines.machine.hardware import Gpu, Hardware, Host

HOST = Host("Linux x86_64", "a processor", 2, 1 << 34, 1 << 33)
NO_GPU = Hardware(HOST, (), None, None, "no NVIDIA driver was found")
ONE_GPU = Hardware(HOST, (Gpu(0, "NVIDIA H200", "9.0", 1 << 37, 1 << 37),), "580.65", "13.0", None)


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

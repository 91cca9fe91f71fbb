"""The record of TensorRT builds: real builds of small networks, what is not built again, what fails, and the page."""

import json

import pytest

from benchmarks.latency import tensorrt_build
from meshwright.engines.machine.products import choose
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.runtime.tiny_pack import build

pytestmark = TENSORRT_RTX


def test_builds_are_recorded_and_not_repeated(tmp_path, monkeypatch, capsys):
    options = ["--pack", "props", "--component", "field_color", "--out", str(tmp_path)]
    tensorrt_build.main(options)
    document = json.loads((tmp_path / "tensorrt_build.json").read_text())
    record = document["packs"]["props"]["field_color"]
    assert record["failed"] is None and record["product"] == "tensorrt-rtx" and record["bytes"] > 100_000
    assert 0 < record["seconds"] < 120 and 50 << 20 < record["peak_bytes"] < 8 << 30
    assert record["sha256"] == Pack.open("props").manifest.files["field_color.onnx"].sha256 and record["operators"]["all"] > 10
    assert "| field_color | fp32 |" in (tmp_path / "tensorrt_build.md").read_text()
    monkeypatch.setattr(tensorrt_build, "measure", lambda *args: pytest.fail("it was built already"))
    tensorrt_build.main(options)
    assert json.loads((tmp_path / "tensorrt_build.json").read_text()) == document
    assert capsys.readouterr().err == "props: field_color\n"


def test_a_build_that_fails_is_recorded_with_its_reason(tmp_path):
    pack = Pack.open(build(tmp_path / "tiny"))
    found = tensorrt_build.measure(pack, pack.component("refiner_step"), choose("tensorrt-rtx"), 60)
    assert found["bytes"] is None and "an open axis has no known range" in found["failed"]
    record = {**tensorrt_build.facts(pack, pack.component("refiner_step"), choose("tensorrt-rtx")), **found}
    text = tensorrt_build.page({"machine": {"processor": "any", "cores": 2}, "packs": {"tiny": {"refiner_step": record}}})
    assert "refiner_step failed: " in text and str(tmp_path) not in text


def test_a_build_that_takes_too_long_is_ended(tmp_path):
    pack = Pack.open("props", verify=False)
    found = tensorrt_build.measure(pack, pack.component("refiner_step"), choose("tensorrt-rtx"), 0.3)
    assert found["seconds"] < 30 and found["failed"] == "the process ended with code -9"

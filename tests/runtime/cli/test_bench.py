"""`meshwright bench` on the tiny pack."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def report(tiny):
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "bench", tiny, "--rounds", "2", "--threads", "1", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_times_of_stages_and_components(report):
    """Each stage is part of a mesh, each component of the stages."""
    assert list(report["stages"]) == ["text", "coarse shape", "coarse mesh", "coarse views", "refined views", "reconstruction", "surface",
                                      "texture", "file"]
    assert {"prior_step", "refiner_step", "vae_decoder", "field_geometry"} <= set(report["components"])
    assert 0 < sum(report["components"].values())
    assert report["warm"] > 0 and report["first"] > 0 and report["rounds"] == 2
    assert 50e6 < report["peak_bytes"] < 8e9 and report["backend"] == "onnxruntime"


def test_the_line_for_an_issue_says_it_all(report):
    parts = report["line"].split(" | ")
    assert parts[0].startswith("meshwright ") and parts[1].startswith(report["pack"]["name"])
    assert any("1 threads" in part for part in parts) and "onnxruntime (CPU)" in parts
    assert f"first {report['first']:.2f} s, warm {report['warm']:.2f} s" in report["line"] and "MB" in parts[-1]


def test_the_page_ends_with_that_line(main):
    ended = main("bench", "tiny", "--rounds", 1, "--threads", 1, "--steps", 2)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "Stages, median of 1:" and ", 2 steps" in lines[-1]
    assert any(line.startswith("refiner_step") and line.endswith(" s") for line in lines)


@pytest.mark.parametrize("rounds", [0, 1001])
def test_bad_rounds(main, rounds):
    ended = main("bench", "props", "--rounds", rounds)
    assert ended.returncode == 2 and "rounds is out of range" in ended.stderr

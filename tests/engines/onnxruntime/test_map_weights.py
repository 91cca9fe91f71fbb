"""Weights that stay in their file: the same result, and no copy of them in memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines import open_engine
from tests.engines import models

WIDTH, LAYERS = 1024, 32
HALVES = WIDTH * WIDTH * LAYERS * 2  # bytes of the weights' file
ANONYMOUS = """
import sys
import numpy as np
from meshwright.engines import open_engine
def anonymous():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
open_engine(sys.argv[3]).run({"x": np.ones((1, 8), np.float32)})  # the libraries' own memory
before = anonymous()
engine = open_engine(sys.argv[1], map_weights=sys.argv[2] == "mapped", threads=1)
engine.run({"x": np.ones((1, int(sys.argv[4])), np.float32)})
print(anonymous() - before)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return models.half_weights(tmp_path_factory.mktemp("mapped") / "model.onnx", WIDTH, LAYERS)


@pytest.mark.slow
def test_the_result_is_the_same_but_for_rounding(model):
    x = np.random.default_rng(1).standard_normal((4, WIDTH), dtype=np.float32)
    with open_engine(model) as copied, open_engine(model, map_weights=True) as mapped:
        expected = copied.run({"x": x})["y"]
        np.testing.assert_allclose(mapped.run({"x": x})["y"], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_copy_of_the_weights_is_made(model, tmp_path):
    small = models.half_weights(tmp_path / "small.onnx", 8, 1)

    def growth(mode: str) -> int:
        command = [sys.executable, "-c", ANONYMOUS, model, mode, small, str(WIDTH)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert growth("copied") > 2 * HALVES  # in FP32
    assert growth("mapped") < HALVES / 2  # a few layers at a time

"""Memory for intermediate results: given back after a run, or held for the next one."""

import subprocess
import sys

import pytest

from tests.engines import models

WIDTH, ROWS = 64, 1 << 18
MIDDLE = WIDTH * ROWS * 4  # bytes of one intermediate result
HELD = """
import sys
import numpy as np
from meshwright.engines import open_engine
def anonymous():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
engine = open_engine(sys.argv[1], keep_scratch=sys.argv[2] == "kept", threads=1)
engine.run({"x": np.ones((1, 64), np.float32)})
before = anonymous()
engine.run({"x": np.ones((int(sys.argv[3]), 64), np.float32)})
print(anonymous() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_scratch_memory_is_given_back_unless_it_is_to_be_kept(tmp_path):
    model = models.half_weights(tmp_path / "model.onnx", WIDTH, 3)

    def growth(mode: str) -> int:
        command = [sys.executable, "-c", HELD, model, mode, str(ROWS)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert growth("given back") < MIDDLE / 2
    assert growth("kept") > MIDDLE / 2

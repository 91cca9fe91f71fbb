"""The tests of this folder, run on simulated products, in a process of its own: their own code works before there is a card."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.engines.platforms import TENSORRT_RTX
from tests.gpu.conftest import REHEARSAL


@pytest.mark.slow
@TENSORRT_RTX
@pytest.mark.skipif(REHEARSAL, reason="this is the rehearsal")
@pytest.mark.skipif(not all(map(find_spec, ("onnx", "tensorrt_rtx"))), reason="a rehearsal needs what `pip install -e '.[test]'` installs")
def test_every_test_for_a_card_passes_where_all_of_it_is_simulated():
    environment = {**os.environ, "MESHWRIGHT_GPU_TESTS": "rehearsal"}
    ended = subprocess.run([sys.executable, "-m", "pytest", str(Path(__file__).parent), "-n0", "-q", "-rs", "-p", "no:cacheprovider"],
                           capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    skipped = re.findall(r"^SKIPPED .*: (.*)$", ended.stdout, re.MULTILINE)
    assert sorted(skipped) == ["its engines run on other cards too", "the backend has no engines of its own", "this is the rehearsal"]

"""`engines.cuda` with the real cuda-core on a driver that is simulated: a library that finds its functions in `SimulatedDriver`."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meshwright.engines.cuda import device as cuda
from meshwright.engines.cuda.driver import Driver
from meshwright.engines.errors import BackendUnavailable
from tests.engines import cuda_cases
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_driver import SHIM

HERE = Path(__file__).parents[1]
# The extra `test` installs cuda-core elsewhere, so that its absence fails instead of leaving the tests out.
pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="there is no CUDA for this system")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("the simulated driver is compiled on Linux, with cc")
    folder = tmp_path_factory.mktemp("driver")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", folder / "libcuda.so.1"], input=SHIM, text=True, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run([sys.executable, "-m", "tests.engines.cuda_cases"], cwd=HERE.parents[1], env=environment, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [case.__name__ for case in cuda_cases.CASES])
def test_on_a_simulated_driver(results, case):
    assert results[case] is None, results[case]


def has_driver():
    try:
        return bool(Driver().count())
    except BackendUnavailable:
        return False


@pytest.mark.skipif(has_driver(), reason="this machine has a GPU")
def test_without_a_driver():
    with pytest.raises(BackendUnavailable, match="the GPU cannot be used: no NVIDIA driver was found.*install NVIDIA's driver"):
        cuda.Cuda()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(BackendUnavailable, match=r"the package cuda-core cannot be imported.*pip install 'meshwright\[gpu\]'"):
        cuda.Cuda()


def test_the_simulated_gpu_has_the_same_methods():
    public = {name: function for name, function in vars(cuda.Cuda).items() if not name.startswith("_")}
    assert len(public) >= 14 and public.keys() - vars(SimulatedCuda).keys() == {"translate_errors", "error"}
    for name, function in public.items():
        assert list(inspect.signature(function).parameters) == list(inspect.signature(getattr(SimulatedCuda, name)).parameters), name

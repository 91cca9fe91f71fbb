"""Plans and the real TensorRT-RTX, which reads them without a GPU as far as it gets, and says why it goes no further."""

from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.key import model_hashes
from meshwright.engines.cuda.driver import Driver
from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.errors import BackendError, BackendUnavailable, EngineError, ModelFileError
from meshwright.engines.onnxruntime.onnx_spec import spec_in_file
from meshwright.engines.tensorrt.build import build_to
from meshwright.engines.tensorrt.engine import TensorRTEngine
from meshwright.engines.tensorrt.loader import make_key
from meshwright.engines.tensorrt.logger import logger
from meshwright.engines.tensorrt.network import Network
from meshwright.engines.tensorrt.plan import DTYPES, read
from tests.engines.engines_on_disk import affine, machine
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_tensorrt import tensorrt_rtx

PROPS = Path(__file__).parents[3] / "runtime" / "packs" / "props"


def has_driver():
    try:
        return bool(Driver().count())
    except BackendUnavailable:
        return False


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A real engine in a real cache: its entry, its bytes, and the order that it was built for."""
    folder = tmp_path_factory.mktemp("built")
    order = affine(folder)
    build_to(order, folder / "affine.plan", lambda share: None)
    key = make_key(order, model_hashes(order.model), machine())

    def store(out):
        out.write_bytes((folder / "affine.plan").read_bytes())
        return 1.0

    return EngineCache(folder).store("pack/affine", key, order.model, store), (folder / "affine.plan").read_bytes(), order


def opened(plan, order):
    return TensorRTEngine(plan, order.model, order.product, DeviceMemory(SimulatedCuda()))


def test_an_engine_is_read_from_a_cache_file_or_by_itself(built, tmp_path):
    entry, content, _ = built
    found, bytes_ = read(entry.path)
    assert found == entry and bytes_.tobytes() == content and bytes_.ctypes.data % 16 == 0
    (tmp_path / "alone.plan").write_bytes(content)
    found, bytes_ = read(tmp_path / "alone.plan")
    assert found is None and bytes_.tobytes() == content


def test_a_cache_file_that_is_cut_short(built, tmp_path):
    entry, content, order = built
    (tmp_path / "cut.engine").write_bytes(entry.path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=f"cut.engine is truncated; received {len(content) - 100} bytes.*it is rebuilt"):
        opened(tmp_path / "cut.engine", order)


@pytest.mark.skipif(has_driver(), reason="this machine has a GPU")
def test_an_engine_without_a_driver(built):
    entry, _, order = built
    with pytest.raises(EngineError, match="there is no NVIDIA driver, or it is older than CUDA 13") as caught:
        opened(entry.path, order)
    assert isinstance(caught.value, BackendError | BackendUnavailable)


@pytest.mark.parametrize("kind", ["text_encoder", "field_geometry", "prior_step"])
def test_a_parsed_network_has_the_models_tensors(kind):
    """What the plan is checked against when it is loaded on a GPU."""
    log = logger(tensorrt_rtx)
    network = Network(tensorrt_rtx, tensorrt_rtx.Builder(log), PROPS / f"{kind}.onnx", log).definition
    spec = spec_in_file(PROPS / f"{kind}.onnx")
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    for parsed, tensors in ((inputs, spec.inputs), (outputs, spec.outputs)):
        assert [(tensor.name, tensor.dtype.name) for tensor in parsed] == [(tensor.name, DTYPES[tensor.dtype]) for tensor in tensors]
        assert not any(tensor.is_shape_tensor for tensor in parsed)
        for tensor, wanted in zip(parsed, tensors, strict=True):
            # TensorRT may not see that an axis is always one long, where another one is open.
            assert all(length == -1 if isinstance(axis, str) else length in (-1, axis)
                       for length, axis in zip(tensor.shape, wanted.shape, strict=True))


def test_dtypes_are_those_of_numpy():
    for name, theirs in DTYPES.items():
        if theirs != "BOOL":
            assert tensorrt_rtx.nptype(getattr(tensorrt_rtx.DataType, theirs)) == np.dtype(name)

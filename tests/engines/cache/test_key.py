"""The key of an engine changes with everything that matters, and with nothing else."""

import json
from dataclasses import asdict, replace

import pytest

from meshwright.engines.cache.key import key_from, model_hashes
from meshwright.engines.errors import ModelFileError
from meshwright.engines.machine import products as tensorrt_products
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import make_key
from meshwright.engines.tensorrt.network import Range
from tests.engines import models
from tests.engines.engines_on_disk import NO_GPU, machine

PRODUCT = tensorrt_products.Product("tensorrt", "json", ("numpy",), "")
FILES = {"a.onnx": "0" * 64, "a.onnx.data": "1" * 64}


def key(tmp_path, hardware=None, files=FILES, **changes):
    order = BuildRequest(PRODUCT, tmp_path / "a.onnx", {"points": Range(1, 64, 64)}, 1 << 30)
    return make_key(replace(order, **changes), files, hardware or machine())


@pytest.mark.parametrize(("changes", "said"), [
    ({"files": {**FILES, "a.onnx.data": "2" * 64}}, "model changed"),
    ({"product": replace(PRODUCT, name="tensorrt-rtx")}, "backend tensorrt-rtx, the engine's is tensorrt"),
    ({"product": replace(PRODUCT, distributions=("onnx",))}, f"its version {tensorrt_products.version('onnx')}, the engine's is"),
    ({"hardware": machine(device="L4")}, "GPU L4, the engine's is RTX 4090"),
    ({"hardware": machine(capability="12.0")}, "compute capability 12.0, the engine's is 8.9"),
    ({"axes": {"points": Range(1, 64, 128)}}, "ranges of open axes changed"),
])
def test_what_matters(tmp_path, changes, said):
    ours, other = key(tmp_path, **changes), key(tmp_path)
    assert ours.digest != other.digest
    assert len(ours.differences(other)) == 1 and ours.differences(other)[0].startswith(said)


def test_driver_free_memory_and_where_the_model_lies_do_not_matter(tmp_path):
    again = key(tmp_path, hardware=machine(free=1 << 30, driver="595.1"), workspace=1 << 20, model=tmp_path / "elsewhere" / "a.onnx")
    assert again == key(tmp_path) and again.digest == key(tmp_path).digest


def test_without_a_gpu(tmp_path):
    found = key(tmp_path, hardware=NO_GPU)
    assert (found.device, found.capability) == ("none", "none")


def test_a_portable_engine_is_known_by_the_capabilities_that_it_is_built_for_alone(tmp_path):
    portable = replace(PRODUCT, is_portable=True)
    here, there, turing = (key(tmp_path, hardware, product=portable) for hardware in (machine(), NO_GPU, machine(capability="7.5")))
    assert here == there == turing and (here.device, here.capability, here.system) == ("any", "8.0 and later", "any")
    chosen = key(tmp_path, product=portable, capabilities=("12.0", "8.9"))
    assert chosen.capability == "8.9 12.0" and chosen != here
    assert here.accepts(chosen) and here.accepts(here) and not here.accepts(key(tmp_path))
    assert not here.accepts(replace(chosen, version="0")) and not key(tmp_path).accepts(key(tmp_path, machine(capability="12.0")))


def test_it_survives_json(tmp_path):
    assert key_from(json.loads(json.dumps(asdict(key(tmp_path))))) == key(tmp_path)


def test_hashes_of_a_model_and_of_its_weights(tmp_path):
    path = models.half_weights(tmp_path / "half.onnx", 8, 2)
    before = model_hashes(path)
    assert set(before) == {"half.onnx", "half.onnx.data"}
    (tmp_path / "half.onnx.data").write_bytes(b"other weights")
    assert model_hashes(path) != before and model_hashes(path)["half.onnx"] == before["half.onnx"]
    with pytest.raises(ModelFileError, match="missing"):
        model_hashes(tmp_path / "gone.onnx")

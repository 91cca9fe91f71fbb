"""The sides that need a card, on a simulated one whose kernels the processor calculates."""

import pytest

from benchmarks.gpu.sides import REFERENCE
from benchmarks.gpu.worker import Worker
from meshwright.engines.errors import BackendUnavailable
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack
from tests.engines.simulated_onnxruntime import SimulatedProvider
from tests.runtime.lora import mixing_pack
from tests.runtime.simulated_gpu import FAST, SimulatedGpu


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """A tiny pack on a machine with a card and all backends."""
    monkeypatch.setattr("meshwright.engines.onnxruntime.engine._open", SimulatedProvider().open)
    SimulatedGpu(monkeypatch, tmp_path / "cache", products=("tensorrt", "tensorrt-rtx"))
    return mixing_pack.build(tmp_path / "tiny")


@pytest.mark.parametrize("side", ["ort", "ort-blocks", "trt", "trt-blocks"])
def test_what_a_side_is_asked(side, pack, tmp_path):
    if side.startswith("trt"):
        with pytest.raises(BackendUnavailable, match="no engine is built for it"):
            Worker(side, str(pack), tmp_path).step("vae_decoder", repeat=1)
        build_missing(Pack.open(pack), "tensorrt", quiet=True)
    worker, reference = Worker(side, str(pack), tmp_path), str(tmp_path / "reference.npz")
    looped = worker.loop("refiner_step", steps=6, repeat=2)
    assert len(looped["ms"]) == 2 and looped["steps"] == 6 and (looped["block_steps"] > 0) == side.endswith("blocks")
    assert len(worker.step("vae_decoder", repeat=3)["ms"]) == 3
    Worker(REFERENCE, str(pack), tmp_path).check("refiner_step", reference)
    assert worker.check("refiner_step", reference)["passed"]
    made = worker.prompt({"prompt": "a red chair", **FAST})
    assert made["ms"][0] > 0 and made["device_bytes"] > 0 and "refined views" in made["stages"]

"""PyTorch's side of the GPU benchmark: the same verbs, the same numbers, and what it counts."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.gpu_torch import KEPT, LARGE, Origin, TorchComponents, TorchEngine
from meshwright.engines import EngineSpec, TensorSpec
from meshwright.export.spec import FP32, ComponentSpec, Input
from tests.export import small


class Step(nn.Module):
    """x_next = gain x + z, and how often it was called."""

    def forward(self, x, z, gain):
        return gain * x + z, x.sum()


def tensor(name, *shape):
    return TensorSpec(name, "float32", shape)


@pytest.fixture
def step():
    inputs = (Input("x", (2, 3)), Input("z", (2, 3)), Input("gain", ()))
    spec = EngineSpec((tensor("x", 2, 3), tensor("z", 2, 3), tensor("gain")), (tensor("x_next", 2, 3), tensor("total")))
    return TorchEngine(ComponentSpec("step", Step(), inputs, ("x_next", "total"), precision=FP32), spec, "cpu", compiled=False)


def test_run_gives_numpy_by_name(step):
    x, z = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    outputs = step.run({"x": x, "z": z, "gain": np.float32(3)}, keep=("x_next",))
    assert outputs["x_next"].tolist() == [[5.0] * 3] * 2 and outputs["total"] == 6.0


@pytest.mark.parametrize("compiled", [False, True])
def test_scan_carries(step, compiled):
    step._compiled = compiled  # what is around a compiled module is the same on the CPU; the compilation needs a compiler
    seen = []
    z = np.arange(4, dtype=np.float32).reshape(4, 1, 1) * np.ones((4, 2, 3), np.float32)
    carry, gain = {"x": np.ones((2, 3), np.float32)}, np.array(2, np.float32)
    last = step.scan(carry, {"z": z}, {"gain": gain}, on_step=lambda i, n: seen.append((i, n)))
    assert np.allclose(last["x"], 16 + 8 * 0 + 4 * 1 + 2 * 2 + 3) and seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_large_inputs_are_uploaded_once():
    engine = TorchEngine(small.spec(), EngineSpec((), ()), "cpu", compiled=False)
    large, little = np.zeros(LARGE // 4, np.float32), np.zeros(3, np.float32)
    assert engine._tensor(large) is engine._tensor(large) and engine._tensor(little) is not engine._tensor(little)
    others = [np.zeros(LARGE // 4, np.float32) for _ in range(KEPT)]
    first = engine._tensor(large)
    for other in others:
        engine._tensor(other)
    assert len(engine._kept) == KEPT and engine._tensor(large) is not first


def test_work_is_that_of_the_matrix_products():
    engine = TorchEngine(small.spec(), EngineSpec((), ()), "cpu", compiled=False)
    assert engine.work({"rows": np.zeros((1, 10, 3), np.float32)}) == 2 * 10 * (3 * 4 + 4 * 2)
    engine.ready({"rows": np.zeros((1, 10, 3), np.float32)})()
    assert torch.is_inference_mode_enabled() is False


def test_components_come_from_what_the_pack_was_made_of(tmp_path):
    """Without checkpoints there is nothing to make, and the missing file is named."""
    with pytest.raises(FileNotFoundError, match=r"\.pt"):
        TorchComponents(None, Origin(checkpoints=tmp_path), "cpu", compiled=False)

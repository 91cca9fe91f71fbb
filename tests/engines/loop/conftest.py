"""Loops on both backends for GPUs: on simulated products, whose kernels the CPU calculates at each launch."""

import pytest

from tests.engines import models
from tests.engines.gpu_bench import OnnxRuntimeBench, TensorRTBench


@pytest.fixture(params=["onnxruntime", "tensorrt"])
def make_bench(request, tmp_path, monkeypatch):
    def make(model, **axes):
        if request.param == "onnxruntime":
            return OnnxRuntimeBench(model, monkeypatch)
        return TensorRTBench(model, tmp_path / "model.engine", axes)

    return make


@pytest.fixture
def bench(make_bench, tmp_path):
    """Steps take 1 ms, a graph 0.5 ms whatever it holds."""
    return make_bench(models.loop(tmp_path / "model.onnx"), length=(1, 3, 8))


@pytest.fixture
def slow(bench):
    """Steps take 12 ms: a block of 50 ms holds four of them."""
    bench.cuda.step_ms = 12.0
    return bench

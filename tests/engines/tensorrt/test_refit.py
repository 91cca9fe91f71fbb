"""A TensorRT engine that was built for it gets other weights: on the simulated GPU, by its numbers and its calls."""

import numpy as np
import pytest

from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.errors import BackendError
from meshwright.engines.onnxruntime.engine import OnnxRuntimeEngine
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.engines.tensorrt.engine import TensorRTEngine
from tests.engines import models
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_tensorrt import SimulatedTensorRT, write_plan

WIDTH = 8
X = np.random.default_rng(1).standard_normal((2, WIDTH), dtype=np.float32)


class Bench:
    def __init__(self, folder):
        self.model = models.half_weights(folder / "model.onnx", WIDTH, 3)
        self.plan, self.cuda = write_plan(self.model, rows=(1, 2, 4)), SimulatedCuda()
        self.trt, self.memory = SimulatedTensorRT(self.cuda), DeviceMemory(self.cuda)
        self.trt.refittable = True
        self.weights = {name: weight.read() + np.float16(0.5) for name, weight in list(ModelWeights(self.model).stored.items())[:2]}

    def open(self):
        return TensorRTEngine(self.plan, self.model, self.trt.product, self.memory)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_results_are_those_of_the_new_weights(bench):
    with bench.open() as engine, OnnxRuntimeEngine(bench.model, threads=1, weights=bench.weights) as reference:
        before = engine.run({"x": X})["y"]
        assert engine.refit(bench.weights)
        after = engine.run({"x": X})["y"]
        np.testing.assert_allclose(after, reference.run({"x": X})["y"], rtol=1e-6)
    assert np.abs(after - before).max() > 0.1
    assert bench.trt.refitted == [{"w0.half", "w1.half"}]
    with bench.open() as engine:
        np.testing.assert_array_equal(engine.run({"x": X})["y"], before)


def test_nothing_runs_while_weights_are_replaced(bench):
    with bench.open() as engine:
        engine.run({"x": X})
        bench.cuda.calls.clear()
        engine.refit(bench.weights)
        assert bench.cuda.names().index("synchronise") < bench.cuda.names().index("refit")


def test_an_engine_that_was_not_built_for_it_stays_as_it_is(bench):
    bench.trt.refittable = False
    with bench.open() as engine:
        before = engine.run({"x": X})["y"]
        assert not engine.refit(bench.weights)
        np.testing.assert_array_equal(engine.run({"x": X})["y"], before)
    assert bench.trt.refitted == []


@pytest.mark.parametrize("wrong, message", [
    ({"fixed": {"w0.half", "w1.half"}}, "built without weights that can be replaced; received w0.half, w1.half; an engine with these"),
    ({"missing": ["w2.half"]}, "cannot be refitted with these weights alone; received w2.half"),
    ({"refuses": {"set_named_weights"}}, "rejects new values for w0.half; received set_named_weights refuses"),
    ({"refuses": {"refit_cuda_engine"}}, "cannot be refitted; received refit_cuda_engine refuses")])
def test_what_tensorrt_refuses_is_told(bench, wrong, message):
    for name, value in wrong.items():
        setattr(bench.trt, name, value)
    with bench.open() as engine, pytest.raises(BackendError, match=message):
        engine.refit(bench.weights)

"""ONNX Runtime's CUDA provider on a simulated GPU: where its tensors lie, and when a step is a graph."""

import inspect
import logging

import numpy as np
import pytest

from meshwright.engines import DeviceArray, open_engine
from meshwright.engines.cache.record import GraphChoice
from meshwright.engines.errors import BackendError, DeviceLost
from meshwright.engines.loop import MAX_LOOPS
from meshwright.engines.onnxruntime.gpu import OnnxRuntimeGpuEngine
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines import models
from tests.engines import simulated_onnxruntime as simulated
from tests.engines.gpu_bench import GpuBench
from tests.engines.onnxruntime.test_engine import affine_inputs, loop_inputs

onnxruntime = import_onnxruntime()

CUDA = "CUDAExecutionProvider"


class Bench(GpuBench):
    """With a provider that `open` finds."""

    def __init__(self, model, monkeypatch):
        super().__init__(model)
        self.provider = simulated.SimulatedProvider(self.cuda)
        monkeypatch.setattr("meshwright.engines.onnxruntime.engine._open", self.provider.open)

    def open(self):
        return open_engine(self.model, providers=(CUDA, "CPUExecutionProvider"), memory=self.memory)

    def graphs(self):
        return [graph for graph, _ in self.provider.runs]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(models.loop(tmp_path / "loop.onnx"), monkeypatch)


@pytest.fixture
def affine(tmp_path, monkeypatch):
    return Bench(models.affine(tmp_path / "affine.onnx"), monkeypatch)


def test_run(affine):
    with affine.open() as engine:
        assert isinstance(engine, OnnxRuntimeGpuEngine)
        y = engine.run(affine_inputs(), keep=("y",))["y"]
        np.testing.assert_array_equal(y.numpy(), affine_inputs()["x"] * 2 + 0.5)
        uploads = affine.cuda.names().count("upload")
        again = engine.run({**affine_inputs(), "x": y})["y"]
        assert isinstance(again, np.ndarray) and affine.cuda.names().count("upload") == uploads + 2
        np.testing.assert_array_equal(again, y.numpy() * 2 + 0.5)
    assert "enable_cuda_graph" not in affine.provider.opened[0] and affine.provider.runs == [(0, True)] * 2


def test_an_output_whose_length_the_model_decides(tmp_path, monkeypatch):
    bench = Bench(models.nonzero(tmp_path / "nonzero.onnx"), monkeypatch)
    with bench.open() as engine:
        found = engine.run({"x": np.array([0, 3, 0, 4], np.float32)}, keep=("found",))["found"]
        assert isinstance(found, DeviceArray) and found.numpy().tolist() == [[1, 3]]


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
@pytest.mark.parametrize("keep", [False, True])
def test_scan(bench, steps, keep):
    with bench.open() as engine:
        for _ in range(3):
            bench.check_scan(engine, loop_inputs(steps), keep=keep)
        few = min(4, steps)
        assert engine.graph_choice == GraphChoice(True, few * 0.25, few * 1.0)
        bench.provider.runs.clear()
        bench.check_scan(engine, loop_inputs(steps))
        assert bench.graphs() == [1 + i % 2 for i in range(steps)] and not any(waits for _, waits in bench.provider.runs)


def test_every_scan_of_one_shape_uses_the_same_two_graphs(bench):
    with bench.open() as engine:
        for scale in (1.0, 2.0, -1.0):
            carry, per_step, constants = loop_inputs()
            bench.check_scan(engine, ({**carry, "x": np.float32(scale) * carry["x"]}, per_step, constants))
        assert set(bench.graphs()) == {-1, 1, 2}
        bench.check_scan(engine, loop_inputs(length=4))
        assert set(bench.graphs()) == {-1, 1, 2, 3, 4}
        bench.check_scan(engine, loop_inputs())


def test_device_arrays_as_arguments_of_a_scan(bench):
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan_of_device_arrays(engine, loop_inputs())


def test_on_step_follows_each_step_and_may_stop_the_scan(bench):
    with bench.open() as engine:
        for _ in range(2):
            bench.check_stopped_scan(engine, loop_inputs())


def test_no_graphs_where_they_are_slower(bench):
    bench.provider.graph_ms = 3.0
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice == GraphChoice(False, 12.0, 4.0)
        bench.provider.runs.clear()
        bench.check_scan(engine, loop_inputs())
        assert set(bench.graphs()) == {-1}


def test_a_model_that_the_provider_cannot_capture(bench, caplog):
    bench.provider.no_graph = True
    with caplog.at_level(logging.INFO, "meshwright.engines"), bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice == GraphChoice(False, None, None, "a node lies on the CPU")
    assert "loop.onnx runs without CUDA graphs: a node lies on the CPU" in caplog.text and len(bench.provider.opened) == 2


def test_a_capture_that_fails(bench, caplog):
    bench.provider.fails = True
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert "capturing failed" in engine.graph_choice.why_not and "end capture" in bench.cuda.names()
        assert ["enable_cuda_graph" in options for options in bench.provider.opened] == [True, False]
        bench.check_scan(engine, loop_inputs())
        assert set(bench.graphs()[-5:]) == {0} and "no CUDA graph for the steps of a loop" in caplog.text


def test_graphs_with_another_result_are_not_used(bench, caplog):
    bench.provider.slip = 1.0
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice.why_not == "its x, count differs from that of the steps"


def test_no_growth_over_a_hundred_scans(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        bench.cuda.calls.clear()
        for _ in range(100):
            engine.scan(*loop_inputs())
        assert not {"allocate", "free"} & set(bench.cuda.names())


def test_loops_give_their_buffers_and_graphs_back(bench):
    with bench.open() as engine:
        for length in range(1, MAX_LOOPS + 1):
            engine.scan(*loop_inputs(length=length))
        held = bench.memory.held_bytes
        engine.scan(*loop_inputs(length=MAX_LOOPS + 1))
        assert bench.memory.held_bytes == held and engine._session.released == [1, 2]
    bench.memory.trim()
    assert bench.memory.held_bytes == 0 and not bench.cuda.blocks


def takes(bench, monkeypatch, session=0, run=0, others=0):
    """Bytes that the session, each run, and meanwhile another program take of the GPU."""
    def more(count, work):
        def done(*given):
            bench.cuda.vendors += count
            bench.cuda.others += others
            return work(*given)
        return done

    monkeypatch.setattr("meshwright.engines.onnxruntime.engine._open", more(session, bench.provider.open))
    monkeypatch.setattr(simulated.SimulatedSession, "run_with_iobinding", more(run, simulated.SimulatedSession.run_with_iobinding))


def test_what_the_session_takes_of_the_gpu_is_counted(bench, monkeypatch):
    takes(bench, monkeypatch, session=70_000)
    with bench.open() as engine:
        assert bench.memory.held_bytes == 70_000
        engine.scan(*loop_inputs())
        assert bench.memory.peak_bytes > 70_000
    bench.memory.trim()
    assert bench.memory.held_bytes == 0


def test_what_other_programs_take_meanwhile_is_not_counted(affine, monkeypatch):
    takes(affine, monkeypatch, session=70_000, run=1_000, others=5_000_000)
    with affine.open() as engine:
        for batch, counted in ((2, 71_000), (3, 72_000)):
            engine.run(affine_inputs(batch))
            affine.memory.trim()
            assert affine.memory.held_bytes == counted


def test_where_nobody_says_what_a_process_holds_its_weights_are_counted(affine, monkeypatch):
    affine.cuda.tells = False
    takes(affine, monkeypatch, session=70_000, run=1_000, others=5_000_000)
    with affine.open() as engine:
        engine.run(affine_inputs())
        affine.memory.trim()
        assert affine.memory.held_bytes == affine.model.stat().st_size
    assert affine.memory.held_bytes == 0


def test_a_gpu_that_stops_answering(bench):
    engine = bench.open()
    engine.scan(*loop_inputs())
    bench.cuda.breaks = True
    bench.cuda.refuses.add("run")
    with pytest.raises(DeviceLost, match="the GPU stopped answering: step 1 of 5 did not run"):
        engine.scan(*loop_inputs())
    with pytest.raises(DeviceLost):
        engine.run({**loop_inputs()[0], **loop_inputs()[2], "gain": np.float32(1), "z": loop_inputs()[0]["x"]})
    engine.close()


def test_an_error_that_passes(affine):
    with affine.open() as engine:
        affine.cuda.refuses.add("run")
        with pytest.raises(BackendError, match="the model did not run; received simulated failure"):
            engine.run(affine_inputs())
        affine.cuda.refuses.clear()
        np.testing.assert_array_equal(engine.run(affine_inputs())["y"], affine_inputs()["x"] * 2 + 0.5)


@pytest.mark.parametrize("ours, real", [(simulated.SimulatedBinding, onnxruntime.IOBinding),
                                        (simulated.SimulatedSession, onnxruntime.InferenceSession)])
def test_the_simulated_methods_are_the_real_ones(ours, real):
    for name, method in vars(ours).items():
        if callable(method) and not name.startswith("_") and name not in ("copy", "evaluate"):
            given, wanted = (list(inspect.signature(each).parameters) for each in (method, getattr(real, name)))
            assert len(given) <= len(wanted) and (name != "bind_output" or given == wanted), name

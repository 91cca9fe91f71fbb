"""ONNX Runtime's CUDA provider on a simulated GPU: where its tensors lie, and its session. `tests/engines/loop` has the scans."""

import inspect
import logging
import threading
import time

import numpy as np
import pytest

from meshwright.engines import DeviceArray, LoopOptions
from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.errors import BackendError, DeviceLost
from meshwright.engines.onnxruntime.gpu import OnnxRuntimeGpuEngine
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines import models
from tests.engines import simulated_onnxruntime as simulated
from tests.engines.gpu_bench import OnnxRuntimeBench
from tests.engines.onnxruntime.test_engine import affine_inputs, loop_inputs

onnxruntime = import_onnxruntime()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return OnnxRuntimeBench(models.loop(tmp_path / "loop.onnx"), monkeypatch)


@pytest.fixture
def affine(tmp_path, monkeypatch):
    return OnnxRuntimeBench(models.affine(tmp_path / "affine.onnx"), monkeypatch)


def test_run(affine):
    with affine.open() as engine:
        assert isinstance(engine, OnnxRuntimeGpuEngine)
        y = engine.run(affine_inputs(), keep=("y",))["y"]
        np.testing.assert_array_equal(y.numpy(), affine_inputs()["x"] * 2 + 0.5)
        uploads = affine.cuda.names().count("upload")
        again = engine.run({**affine_inputs(), "x": y})["y"]
        assert isinstance(again, np.ndarray) and affine.cuda.names().count("upload") == uploads + 2
        np.testing.assert_array_equal(again, y.numpy() * 2 + 0.5)
    assert "enable_cuda_graph" not in affine.provider.opened[0] and affine.provider.waits == [True, True]


def test_an_output_whose_length_the_model_decides(tmp_path, monkeypatch):
    bench = OnnxRuntimeBench(models.nonzero(tmp_path / "nonzero.onnx"), monkeypatch)
    with bench.open() as engine:
        found = engine.run({"x": np.array([0, 3, 0, 4], np.float32)}, keep=("found",))["found"]
        assert isinstance(found, DeviceArray) and found.numpy().tolist() == [[1, 3]]


def test_a_model_that_the_provider_cannot_capture(bench, caplog):
    bench.provider.no_graph = True
    with caplog.at_level(logging.INFO, "meshwright.engines"), bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs(4))
        assert engine.block_choice == BlockChoice(0, 50.0, None, 4.0, "a node lies on the CPU")
    assert "loop.onnx runs without CUDA graphs: a node lies on the CPU" in caplog.text and len(bench.provider.opened) == 2


def test_a_session_that_needs_no_graphs_is_opened_without(bench):
    with bench.open(LoopOptions(graphs="never")) as engine:
        bench.check_scan(engine, loop_inputs())
    assert ["enable_cuda_graph" in options for options in bench.provider.opened] == [False]


def test_after_a_capture_that_failed_the_session_is_opened_again(bench, caplog):
    """Graphs of other shapes were captured from the session that goes: they are not launched any more."""
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(4))
        bench.provider.fails = True
        bench.check_scan(engine, loop_inputs(4, length=5))
        assert "not permitted when stream is capturing" in engine.block_choice.why_not
        assert ["enable_cuda_graph" in options for options in bench.provider.opened] == [True, False]
        bench.cuda.calls.clear()
        for length in (3, 5, 6):
            bench.check_scan(engine, loop_inputs(4, length))
            assert engine.block_choice.steps == 0
        assert not {"launch", "begin capture"} & set(bench.cuda.names()) and "no CUDA graph for blocks of 4 steps" in caplog.text


def test_no_run_of_a_scan_waits(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    assert bench.provider.waits and not any(bench.provider.waits)


def test_a_scan_ends_when_its_caller_is_interrupted(bench, monkeypatch):
    """ONNX Runtime runs on a thread of its own, which would go on."""
    started, seen = threading.Event(), []

    def on_step(done, steps):
        seen.append(done)
        started.set()
        time.sleep(0.01)

    def result(future, timeout=None):
        started.wait()
        raise KeyboardInterrupt

    with bench.open(LoopOptions(graphs="never")) as engine:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("concurrent.futures.Future.result", result)
            engine.scan(*loop_inputs(1000), on_step=on_step)
        assert len(seen) < 1000
        bench.check_scan(engine, loop_inputs())


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
    bench.cuda.refuses.add("execute")
    with pytest.raises(DeviceLost, match="the GPU stopped answering: a step did not run"):
        engine.scan(*loop_inputs())
    with pytest.raises(DeviceLost):
        engine.run({**loop_inputs()[0], **loop_inputs()[2], "gain": np.float32(1), "z": loop_inputs()[0]["x"]})
    engine.close()


def test_an_error_that_passes(affine):
    with affine.open() as engine:
        affine.cuda.refuses.add("execute")
        with pytest.raises(BackendError, match="the model did not run; received simulated failure"):
            engine.run(affine_inputs())
        affine.cuda.refuses.clear()
        np.testing.assert_array_equal(engine.run(affine_inputs())["y"], affine_inputs()["x"] * 2 + 0.5)


@pytest.mark.parametrize("ours, real", [(simulated.SimulatedBinding, onnxruntime.IOBinding),
                                        (simulated.SimulatedSession, onnxruntime.InferenceSession)])
def test_the_simulated_methods_are_the_real_ones(ours, real):
    for name, method in vars(ours).items():
        if callable(method) and not name.startswith("_") and name != "evaluate":
            given, wanted = (list(inspect.signature(each).parameters) for each in (method, getattr(real, name)))
            assert len(given) <= len(wanted) and (name != "bind_output" or given == wanted), name

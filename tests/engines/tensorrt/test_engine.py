"""The TensorRT runner on a simulated GPU: its numbers are those of ONNX Runtime, its calls are those that a GPU needs."""

import gc

import numpy as np
import pytest

from meshwright.engines import DeviceArray, LoopOptions, open_engine
from meshwright.engines.cache.record import BlockChoice, EngineRecord
from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.errors import BackendError, DeviceLost, EngineError, ModelFileError, TensorError
from tests.engines import models
from tests.engines.gpu_bench import PROPS, TensorRTBench, random_inputs
from tests.engines.onnxruntime.test_engine import affine_inputs, loop_inputs
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_tensorrt import write_plan


@pytest.fixture
def bench(tmp_path):
    return TensorRTBench(models.loop(tmp_path / "model.onnx"), tmp_path / "model.engine", {"length": (1, 3, 8)})


@pytest.fixture
def affine(tmp_path):
    return TensorRTBench(models.affine(tmp_path / "model.onnx"), tmp_path / "model.engine", {"batch": (1, 2, 4)})


def test_run(affine):
    with affine.open() as engine:
        outputs = engine.run(affine_inputs(3))
        np.testing.assert_array_equal(outputs["y"], affine_inputs(3)["x"] * 2 + 0.5)
        assert affine.cuda.names().count("execute") == 1 and "launch" not in affine.cuda.names()


def test_outputs_stay_on_the_gpu_and_go_back_in(affine):
    with affine.open() as engine:
        y = engine.run(affine_inputs(), keep=("y",))["y"]
        assert isinstance(y, DeviceArray) and y.shape == (2, 3) and y.dtype == np.float32 and y.nbytes == 24
        affine.cuda.calls.clear()
        again = engine.run({**affine_inputs(), "x": y})["y"]
        assert [call[1] for call in affine.cuda.calls if call[0] == "execute"][0]["x"] == y.address
        assert affine.cuda.names().count("upload") == 2  # scale and shift
        np.testing.assert_array_equal(again, y.numpy() * 2 + 0.5)


def test_an_engine_on_the_cpu_takes_and_keeps_arrays_on_the_host(affine):
    with affine.open() as engine:
        y = engine.run(affine_inputs(), keep=("y",))["y"]
        kept = affine.reference.run({**affine_inputs(), "x": y}, keep=("y",))["y"]
        assert isinstance(kept, np.ndarray)
        np.testing.assert_array_equal(kept, y.numpy() * 2 + 0.5)


def test_what_is_kept_must_be_an_output(affine):
    with affine.open() as engine, pytest.raises(TensorError, match="unknown output 'z'; received z; expected y"):
        engine.run(affine_inputs(), keep=("z",))


def test_arrays_of_another_pipeline_are_copied_through_the_host(affine):
    other = DeviceMemory(SimulatedCuda())
    with affine.open() as engine:
        x = other.upload(affine_inputs()["x"])
        np.testing.assert_array_equal(engine.run({**affine_inputs(), "x": x})["y"], affine_inputs()["x"] * 2 + 0.5)


@pytest.mark.parametrize("batch", [5, 8, 11])
def test_more_than_the_engine_was_built_for_goes_in_parts(affine, batch):
    with affine.open() as engine:
        outputs = engine.run(affine_inputs(batch), keep=("y",))["y"]
        np.testing.assert_array_equal(outputs.numpy(), affine_inputs(batch)["x"] * 2 + 0.5)
        assert affine.cuda.names().count("execute") == -(-batch // 4)
        uploads = [call[2] for call in affine.cuda.calls if call[0] == "upload"]
        assert uploads.count(4) == 1  # the scale, which all parts read


def test_less_than_the_engine_was_built_for_is_refused(affine):
    with affine.open() as engine, pytest.raises(TensorError, match="axis 'batch'; received 0; expected at least 1"):
        engine.run(affine_inputs(0))


def test_nothing_is_allocated_after_the_first_run(affine):
    with affine.open() as engine:
        engine.run(affine_inputs())
        engine.run(affine_inputs())
        affine.cuda.calls.clear()
        for _ in range(100):
            engine.run(affine_inputs(), keep=("y",))
        assert not {"allocate", "free"} & set(affine.cuda.names())


def test_scratch_memory_is_shared_between_runs(affine):
    affine.trt.scratch = 1 << 20
    with affine.open() as one, affine.open() as other:
        for engine in (one, other, one, other):
            engine.run(affine_inputs())
        assert sum(call[1] >= 1 << 20 for call in affine.cuda.calls if call[0] == "allocate") == 1
        assert affine.memory.peak_bytes >= (1 << 20) + 2 * 5000  # weights are counted


def test_closing_gives_everything_back(bench):
    engine = bench.open()
    engine.scan(*loop_inputs())
    engine.scan(*loop_inputs())
    engine.close()
    gc.collect()
    bench.memory.trim()
    assert bench.memory.held_bytes == 0 and not bench.cuda.blocks
    with pytest.raises(EngineError, match="closed"):
        engine.scan(*loop_inputs())


def test_too_little_memory(affine):
    affine.trt.scratch = 2 << 30
    with affine.open() as engine:
        with pytest.raises(BackendError, match="bytes of GPU memory could not be allocated; received CUDA_ERROR_OUT_OF_MEMORY"):
            engine.run(affine_inputs())
        affine.trt.scratch = 1000
        engine.run({**affine_inputs(3)})  # a new shape, which asks for its scratch anew


@pytest.mark.parametrize("method, message", [("set_tensor_address", "does not take the address of tensor"),
                                             ("execute_async_v3", "the engine did not start; received Cuda Runtime"),
                                             ("create_execution_context", "the engine could not be prepared")])
def test_what_tensorrt_refuses(affine, method, message):
    with affine.open() as engine:
        affine.trt.refuses.add(method)
        with pytest.raises(BackendError, match=message):
            engine.run(affine_inputs())
        affine.trt.refuses.clear()
        np.testing.assert_array_equal(engine.run(affine_inputs())["y"], affine_inputs()["x"] * 2 + 0.5)


def test_a_gpu_that_stops_answering(bench):
    engine = bench.open()
    engine.scan(*loop_inputs())
    bench.cuda.breaks = True
    bench.cuda.refuses.add("upload")
    with pytest.raises(DeviceLost, match="the GPU stopped answering: an array could not be copied"):
        engine.scan(*loop_inputs())
    with pytest.raises(DeviceLost, match="stopped answering earlier"):
        engine.scan(*loop_inputs())
    engine.close()
    bench.check_scan(bench.reference, loop_inputs())  # others go on


def test_kernels_that_were_compiled_here_are_kept(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        assert bench.trt.contexts[0].config.cache.content == b""
    assert bench.plan.with_name("model.engine.kernels").read_bytes() == b"kernels"
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        assert bench.trt.contexts[1].config.cache.content == b"kernels"


def test_kernels_are_compiled_at_once_for_few_shapes_only(tmp_path, bench):
    bench.open().scan(*loop_inputs())
    few = TensorRTBench(bench.model, bench.plan, {"length": (3, 3, 4)})
    few.open().scan(*loop_inputs())
    kinds = bench.trt.DynamicShapesKernelSpecializationStrategy
    strategies = [each.trt.contexts[0].config.dynamic_shapes_kernel_specialization_strategy for each in (bench, few)]
    assert strategies == [kinds.LAZY, kinds.EAGER]


def test_plans_that_do_not_load(bench):
    foreign = "of unknown origin; .*no engine, or a damaged one.* expected one of tensorrt-rtx 1"
    for content, message in ((b"", "is empty"), (b"nonsense", foreign), (None, "cannot be read")):
        bench.plan.unlink(missing_ok=True)
        if content is not None:
            bench.plan.write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{message}.*it is rebuilt"):
            bench.open()


def test_a_plan_of_another_model(bench, tmp_path):
    write_plan(models.affine(tmp_path / "other.onnx"), path=bench.plan, batch=(1, 1, 1))
    with pytest.raises(ModelFileError, match="was built from another model; received tensors scale, shift, x, y; expected .*bias"):
        bench.open()


def test_the_public_door(bench):
    with pytest.raises(EngineError, match="tensorrt-rtx runs an engine that was built before"):
        open_engine(bench.model, backend="tensorrt-rtx")
    with pytest.raises(EngineError, match="no weights="):
        open_engine(bench.model, backend="tensorrt-rtx", plan=bench.plan, memory=bench.memory, weights={"one": np.array(2)})


def test_queries_of_a_field_of_props_in_parts(tmp_path):
    bench = TensorRTBench(PROPS / "field_geometry.onnx", tmp_path / "props.engine", {"points": (1, 100, 100)})
    inputs = random_inputs(bench.reference.spec, points=250)
    with bench.open() as engine:
        expected, received = bench.reference.run(inputs), engine.run(inputs)
        assert bench.cuda.names().count("execute") == 3
        for name, value in expected.items():
            np.testing.assert_allclose(received[name], value, rtol=1e-5, atol=1e-5)


# Scans, as far as TensorRT has something of its own: `tests/engines/loop` has the rest.

def test_each_shape_of_a_scan_has_its_own_context(bench):
    with bench.open() as engine:
        for _ in range(2):
            for steps, length in ((5, 3), (5, 4), (2, 3)):
                bench.check_scan(engine, loop_inputs(steps, length))
        assert len(bench.trt.contexts) == 2 and all(len({context.shapes["x"]}) == 1 for context in bench.trt.contexts)


def test_how_a_loop_is_launched_is_kept_for_the_next_process(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs(6))
    (name, choice), = EngineRecord(bench.plan).loops().items()
    assert name == "bias 3; count scalar; gain scalar; x 3; z 3; carries count x; each step gain z"
    assert choice == BlockChoice(6, 50.0, 0.5, 6.0)
    bench.cuda.calls.clear()
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(8))
        assert engine.block_choice == choice
    # Two steps one by one, the six within the capture, one launch of them: nothing is timed.
    assert len(bench.executed()) == 2 + 6 and bench.cuda.names().count("launch") == 1


def test_what_was_measured_for_shorter_blocks_is_measured_again(bench):
    with bench.open(LoopOptions(block_ms=4.0)) as engine:
        engine.scan(*loop_inputs(6))
        assert engine.block_choice.steps == 2
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice.steps == 6


def test_no_graph_where_tensorrt_says_so(bench, caplog):
    bench.trt.capturable = False
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert not engine.block_choice.use_graph and "TensorRT says" in engine.block_choice.why_not
    assert "begin capture" not in bench.cuda.names() and "launched one by one: TensorRT says" in caplog.text
    assert EngineRecord(bench.plan).loops() == {}  # the next process asks again


def test_a_known_graph_that_cannot_be_captured_any_more(bench, caplog):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    bench.cuda.refuses.add("begin capture")
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert not engine.block_choice.use_graph
    assert [choice.use_graph for choice in EngineRecord(bench.plan).loops().values()] == [True]  # it is tried again next time


def test_refitting_drops_the_graphs(bench):
    bench.trt.refittable = True
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        assert engine.refit({})
        assert bench.cuda.names().count("close graph") == 1
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert bench.cuda.names().count("begin capture") == 1


def test_a_scan_is_not_split(bench):
    with bench.open() as engine, pytest.raises(TensorError, match="axis 'length' of a scan; received 9; expected at most 8"):
        engine.scan(*loop_inputs(length=9))

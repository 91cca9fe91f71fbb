"""The TensorRT runner on a simulated GPU: its numbers are those of ONNX Runtime, its calls are those that a GPU needs."""

import gc
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines import DeviceArray, open_engine
from meshwright.engines.device_memory import DeviceMemory
from meshwright.engines.errors import BackendError, Cancelled, DeviceLost, EngineError, ModelFileError, TensorError
from meshwright.engines.graph_choice import GraphChoice, GraphChoices
from meshwright.engines.kept_loops import MOST
from meshwright.engines.onnxruntime import OnnxRuntimeEngine
from meshwright.engines.tensorrt import TensorRTEngine
from tests.engines import models
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_tensorrt import SimulatedTensorRT, write_plan
from tests.engines.test_onnxruntime import affine_inputs, loop_inputs

STEPS = 5
PROPS = Path(__file__).parents[2] / "runtime" / "packs" / "props"


class Bench:
    """A model, its engine on a simulated GPU, and the same model on ONNX Runtime."""

    def __init__(self, model, plan, axes):
        self.model, self.plan = model, write_plan(model, path=plan, **axes)
        self.cuda = SimulatedCuda()
        self.memory = DeviceMemory(self.cuda)
        self.trt = SimulatedTensorRT(self.cuda)
        self.reference = OnnxRuntimeEngine(self.model, threads=1)

    def open(self):
        return TensorRTEngine(self.plan, self.model, self.trt.product, self.memory)

    def check_scan(self, engine, arguments, **options):
        expected, received = self.reference.scan(*arguments), engine.scan(*arguments, **options)
        assert list(received) == list(expected)
        for name, value in expected.items():
            host = received[name].numpy() if isinstance(received[name], DeviceArray) else received[name]
            assert host.dtype == value.dtype and host.shape == value.shape
            np.testing.assert_allclose(host, value, rtol=1e-6, atol=1e-6)

    def executed(self):
        return [call[1] for call in self.cuda.calls if call[0] == "execute"]


@pytest.fixture
def bench(tmp_path):
    return Bench(models.loop(tmp_path / "model.onnx"), tmp_path / "model.engine", {"length": (1, 3, 8)})


@pytest.fixture
def affine(tmp_path):
    return Bench(models.affine(tmp_path / "model.onnx"), tmp_path / "model.engine", {"batch": (1, 2, 4)})


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


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
@pytest.mark.parametrize("keep", [False, True])
def test_scan(bench, steps, keep):
    with bench.open() as engine:
        for _ in range(3):  # step by step and measured; then as a graph
            bench.check_scan(engine, loop_inputs(steps), keep=keep)
        assert engine.graph_choice.use_graph
        assert engine.graph_choice.plain_ms == steps * 1.0 and engine.graph_choice.graph_ms == 0.5


def test_a_scan_of_other_numbers_replays_the_same_graph(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        carry, per_step, constants = loop_inputs()
        for scale in (2.0, -1.0):
            arguments = ({**carry, "x": np.float32(scale) * carry["x"]}, {**per_step, "z": np.float32(scale) * per_step["z"]},
                         {"bias": np.float32(scale) * constants["bias"]})
            bench.cuda.calls.clear()
            bench.check_scan(engine, arguments)
            assert bench.cuda.names().count("launch") == 1 and not bench.executed()


def test_the_calls_of_a_first_scan(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    names = [name for name in bench.cuda.names() if name in ("execute", "is_stream_capturable", "begin capture", "end capture", "launch")]
    assert names[:1 + STEPS] == ["execute"] * (1 + STEPS)  # the warm-up, then the steps
    captured = ["is_stream_capturable", "begin capture", *["execute"] * STEPS, "end capture", "launch"]
    assert names[1 + STEPS:1 + STEPS + len(captured)] == captured
    # Then both ways in turn, three times.
    assert names[1 + STEPS + len(captured):] == ["launch", *["execute"] * STEPS] * 3


def test_addresses_ping_pong_and_slices_lie_in_one_buffer(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        steps = bench.executed()[1:1 + STEPS]
    for i, (now, then) in enumerate(zip(steps, steps[1:], strict=False)):
        assert now["x_next"] == then["x"] and now["count_next"] == then["count"] and now["x"] == then["x_next"], i
        assert now["x"] != now["x_next"] and now["bias"] == then["bias"] and now["twice"] == then["twice"]
        assert then["z"] - now["z"] == then["gain"] - now["gain"] == 256
    captured = bench.executed()[1 + STEPS:1 + 2 * STEPS]
    assert captured == steps


def test_device_arrays_as_arguments_of_a_scan(bench):
    carry, per_step, constants = loop_inputs()
    upload = bench.memory.upload
    with bench.open() as engine:
        for _ in range(2):
            arguments = [{name: upload(value) for name, value in each.items()} for each in (carry, per_step, constants)]
            expected, received = bench.reference.scan(carry, per_step, constants), engine.scan(*arguments)
            for name, value in expected.items():
                np.testing.assert_allclose(received[name], value, rtol=1e-6, atol=1e-6)
            np.testing.assert_array_equal(arguments[0]["x"].numpy(), carry["x"])  # none of the caller's is written to


def test_no_growth_over_a_hundred_scans(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        engine.scan(*loop_inputs())
        held = bench.memory.held_bytes
        bench.cuda.calls.clear()
        for i in range(100):
            result = engine.scan(*loop_inputs(), keep=bool(i % 2))
        del result
        # The first result that stays on the GPU takes two blocks; nothing more is taken, and nothing is captured again.
        assert bench.cuda.names().count("allocate") <= 2 and "begin capture" not in bench.cuda.names()
        assert bench.memory.held_bytes <= held + 2 * 512


def test_each_shape_has_its_own_graph_and_context(bench):
    with bench.open() as engine:
        for _ in range(2):
            for steps, length in ((5, 3), (5, 4), (2, 3)):
                bench.check_scan(engine, loop_inputs(steps, length))
        assert bench.cuda.names().count("begin capture") == 3 and len(bench.trt.contexts) == 3
        for context in bench.trt.contexts:
            assert len({context.shapes["x"]}) == 1


def test_the_loop_that_was_used_longest_ago_gives_its_buffers_back(bench):
    with bench.open() as engine:
        for length in range(1, MOST + 1):
            engine.scan(*loop_inputs(length=length))
        full = bench.memory.held_bytes
        engine.scan(*loop_inputs(length=MOST + 1))
        assert bench.cuda.names().count("close graph") == 1 and bench.memory.held_bytes == full
        bench.check_scan(engine, loop_inputs(length=1))


def test_step_by_step_where_that_is_faster(bench, caplog):
    bench.cuda.graph_ms = 100.0
    with bench.open() as engine, caplog.at_level(logging.INFO, "meshwright.engines"):
        bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice == GraphChoice(False, 100.0, 5.0)
        assert "100.000 ms as one CUDA graph, 5.000 ms step by step" in caplog.text
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert "launch" not in bench.cuda.names() and len(bench.executed()) == STEPS


def test_the_choice_is_kept_for_the_next_process(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    (name, choice), = GraphChoices(bench.plan).all().items()
    assert name == "5 steps; bias 3; count scalar; gain scalar; x 3; z 3; carries count x; each step gain z"
    assert choice == GraphChoice(True, 0.5, 5.0)
    bench.cuda.calls.clear()
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice == choice
    # A warm-up, the steps within the capture, one launch: nothing is timed.
    assert len(bench.executed()) == 1 + STEPS and bench.cuda.names().count("launch") == 1


def test_choices_that_cannot_be_read_are_made_again(bench):
    path = bench.plan.with_name("model.engine.graphs")
    for content in ("", "[]", '{"a": 3}', '{"a": {"b": 1}}'):
        path.write_text(content)
        assert GraphChoices(bench.plan).all() == {}
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    assert len(json.loads(path.read_text())) == 1


def test_no_graph_where_tensorrt_says_so(bench, caplog):
    bench.trt.capturable = False
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert not engine.graph_choice.use_graph and "TensorRT says" in engine.graph_choice.why_not
    assert "begin capture" not in bench.cuda.names() and "launched one by one: TensorRT says" in caplog.text
    assert GraphChoices(bench.plan).all() == {}


@pytest.mark.parametrize("refused", ["begin capture", "end capture"])
def test_a_capture_that_fails_falls_back_to_single_launches(bench, caplog, refused):
    bench.cuda.refuses.add(refused)
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert f"simulated failure of {refused}" in engine.graph_choice.why_not
        assert "launch" not in bench.cuda.names() and "no CUDA graph for a loop of 5 steps" in caplog.text


def test_a_known_graph_that_cannot_be_captured_any_more(bench, caplog):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    bench.cuda.refuses.add("begin capture")
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert not engine.graph_choice.use_graph
    assert [choice.use_graph for choice in GraphChoices(bench.plan).all().values()] == [True]  # it is tried again next time


def test_a_graph_with_another_result_is_not_used(bench, caplog):
    bench.trt.slip = 1.0
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice.why_not == "its x, count differs from that of the steps"
    assert "gives another x, count than the steps" in caplog.text


def test_refitting_drops_the_graphs(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        engine.refitted()
        assert bench.cuda.names().count("close graph") == 1
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert bench.cuda.names().count("begin capture") == 1


def test_on_step_counts_and_may_stop_the_scan(bench):
    seen = []

    def on_step(done, steps):
        seen.append((done, steps))
        if len(seen) == 3:
            raise Cancelled("enough")

    with bench.open() as engine:
        with pytest.raises(Cancelled):
            engine.scan(*loop_inputs(), on_step=on_step)
        assert seen == [(1, 5), (2, 5), (3, 5)]
        bench.check_scan(engine, loop_inputs())
        seen = []
        bench.check_scan(engine, loop_inputs(), on_step=lambda *step: seen.append(step))
        assert seen == [(5, 5)] and engine.graph_choice.use_graph


def test_an_error_of_the_callers_own_is_not_taken_for_the_gpus(bench):
    def on_step(done, steps):
        raise ValueError("mine")

    with bench.open() as engine, pytest.raises(ValueError, match="mine"):
        engine.scan(*loop_inputs(), on_step=on_step)


def test_no_steps_give_the_carry_back(bench):
    with bench.open() as engine:
        carry, per_step, constants = loop_inputs(0)
        assert engine.scan(carry, per_step, constants)["x"].tolist() == carry["x"].tolist()
        kept = engine.scan({**carry, "x": bench.memory.upload(carry["x"])}, per_step, constants, keep=True)["x"]
        assert kept.numpy().tolist() == carry["x"].tolist()


def test_a_scan_is_not_split(bench):
    with bench.open() as engine, pytest.raises(TensorError, match="axis 'length' of a scan; received 9; expected at most 8"):
        engine.scan(*loop_inputs(length=9))


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
        with pytest.raises(BackendError, match="bytes of the GPU's memory could be had; received CUDA_ERROR_OUT_OF_MEMORY"):
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


def test_a_gpu_lost_in_a_capture_is_no_fallback(bench):
    bench.cuda.breaks = True
    bench.cuda.refuses.add("end capture")
    engine = bench.open()
    with pytest.raises(DeviceLost):
        engine.scan(*loop_inputs())
    engine.close()


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
    few = Bench(bench.model, bench.plan, {"length": (3, 3, 4)})
    few.open().scan(*loop_inputs())
    kinds = bench.trt.DynamicShapesKernelSpecializationStrategy
    strategies = [each.trt.contexts[0].config.dynamic_shapes_kernel_specialization_strategy for each in (bench, few)]
    assert strategies == [kinds.LAZY, kinds.EAGER]


def test_plans_that_do_not_load(bench):
    for content, message in ((b"", "is empty"), (b"nonsense", "of unknown origin; Error Code 1.* expected one of tensorrt-rtx 1"),
                             (None, "cannot be read")):
        bench.plan.unlink(missing_ok=True)
        if content is not None:
            bench.plan.write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{message}.*it is built again"):
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


@pytest.fixture
def props(tmp_path):
    def open_component(kind, **axes):
        return Bench(PROPS / f"{kind}.onnx", tmp_path / "props.engine", axes)

    return open_component


def random_inputs(spec, **axes):
    rng = np.random.default_rng(0)
    return {tensor.name: (0.1 * rng.standard_normal(tensor.resolve(axes))).astype(tensor.dtype) for tensor in spec.inputs}


def test_the_loop_of_the_text_prior_of_props(props):
    bench = props("prior_step")
    inputs = random_inputs(bench.reference.spec)
    rows = np.stack([inputs.pop("row")] * 3)
    carry = {name: inputs.pop(name) for name in ("latent", "previous")}
    per_step = {"row": rows, "noise": np.stack([inputs.pop("noise")] * 3)}
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, (carry, per_step, inputs))
        assert engine.graph_choice.use_graph


def test_queries_of_a_field_of_props_in_parts(props):
    bench = props("field_geometry", points=(1, 100, 100))
    inputs = random_inputs(bench.reference.spec, points=250)
    with bench.open() as engine:
        expected, received = bench.reference.run(inputs), engine.run(inputs)
        assert bench.cuda.names().count("execute") == 3
        for name, value in expected.items():
            np.testing.assert_allclose(received[name], value, rtol=1e-5, atol=1e-5)


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path):
    choices = GraphChoices(tmp_path / "gone" / "model.engine")
    choices.keep("5 steps", GraphChoice(True, 1.0, 2.0))
    assert choices.all() == {} and not list(tmp_path.iterdir())

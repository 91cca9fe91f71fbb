"""Scans of the TensorRT runner on a simulated GPU: when they are one graph, and what lies where."""

import logging

import numpy as np
import pytest

from meshwright.engines.cache.record import EngineRecord, GraphChoice
from meshwright.engines.errors import DeviceLost, TensorError
from meshwright.engines.loop import MAX_LOOPS, GraphLoop
from tests.engines import models
from tests.engines.gpu_bench import PROPS, TensorRTBench, random_inputs
from tests.engines.onnxruntime.test_engine import loop_inputs

STEPS = 5


@pytest.fixture
def bench(tmp_path):
    return TensorRTBench(models.loop(tmp_path / "model.onnx"), tmp_path / "model.engine", {"length": (1, 3, 8)})


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
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan_of_device_arrays(engine, loop_inputs())


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
        for length in range(1, MAX_LOOPS + 1):
            engine.scan(*loop_inputs(length=length))
        full = bench.memory.held_bytes
        engine.scan(*loop_inputs(length=MAX_LOOPS + 1))
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
    (name, choice), = EngineRecord(bench.plan).loops().items()
    assert name == "5 steps; bias 3; count scalar; gain scalar; x 3; z 3; carries count x; each step gain z"
    assert choice == GraphChoice(True, 0.5, 5.0)
    bench.cuda.calls.clear()
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice == choice
    # A warm-up, the steps within the capture, one launch: nothing is timed.
    assert len(bench.executed()) == 1 + STEPS and bench.cuda.names().count("launch") == 1


def test_no_graph_where_tensorrt_says_so(bench, caplog):
    bench.trt.capturable = False
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert not engine.graph_choice.use_graph and "TensorRT says" in engine.graph_choice.why_not
    assert "begin capture" not in bench.cuda.names() and "launched one by one: TensorRT says" in caplog.text
    assert EngineRecord(bench.plan).loops() == {}


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
    assert [choice.use_graph for choice in EngineRecord(bench.plan).loops().values()] == [True]  # it is tried again next time


def test_a_graph_with_another_result_is_not_used(bench, caplog):
    bench.trt.slip = 1.0
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs())
        assert engine.graph_choice.why_not == "its x, count differs from that of the steps"
    assert "gives another x, count than the steps" in caplog.text


def test_a_graph_that_does_not_start_leaves_the_steps(bench, caplog):
    """At its first launch, whose result nobody has compared yet."""
    bench.cuda.refuses.add("launch")
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs())
        assert "simulated failure of launch" in engine.graph_choice.why_not and "does not run; it is not used" in caplog.text
        bench.cuda.refuses.clear()
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert "launch" not in bench.cuda.names() and len(bench.executed()) == STEPS
    assert EngineRecord(bench.plan).loops() == {}


def test_a_graph_that_starts_no_more_leaves_the_steps(bench, caplog):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        bench.cuda.refuses.add("launch")
        seen = []
        bench.check_scan(engine, loop_inputs(), on_step=lambda *step: seen.append(step))
        assert seen == [(i + 1, STEPS) for i in range(STEPS)] and not engine.graph_choice.use_graph
        assert "is not used any more" in caplog.text and bench.cuda.names().count("close graph") == 1
        bench.check_scan(engine, loop_inputs())
    assert [choice.use_graph for choice in EngineRecord(bench.plan).loops().values()] == [True]  # it is tried again next time


def test_a_graph_that_was_not_compared_is_not_launched_again(bench, monkeypatch):
    """The user stops the program, or a test its run, while the first scan compares."""
    with bench.open() as engine:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(GraphLoop, "_difference", interrupt)
            engine.scan(*loop_inputs())
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert bench.cuda.names().index("execute") < bench.cuda.names().index("launch")
        assert bench.cuda.names().count("begin capture") == 1


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_refitting_drops_the_graphs(bench):
    bench.trt.refittable = True
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        assert engine.refit({})
        assert bench.cuda.names().count("close graph") == 1
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs())
        assert bench.cuda.names().count("begin capture") == 1


def test_on_step_counts_and_may_stop_the_scan(bench):
    with bench.open() as engine:
        bench.check_stopped_scan(engine, loop_inputs())
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


def test_a_gpu_lost_in_a_capture_is_no_fallback(bench):
    bench.cuda.breaks = True
    bench.cuda.refuses.add("end capture")
    engine = bench.open()
    with pytest.raises(DeviceLost):
        engine.scan(*loop_inputs())
    engine.close()


def test_the_loop_of_the_text_prior_of_props(tmp_path):
    bench = TensorRTBench(PROPS / "prior_step.onnx", tmp_path / "props.engine", {})
    inputs = random_inputs(bench.reference.spec)
    rows = np.stack([inputs.pop("row")] * 3)
    carry = {name: inputs.pop(name) for name in ("latent", "previous")}
    per_step = {"row": rows, "noise": np.stack([inputs.pop("noise")] * 3)}
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, (carry, per_step, inputs))
        assert engine.graph_choice.use_graph

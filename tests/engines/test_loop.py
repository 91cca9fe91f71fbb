"""Scans in blocks, on both backends for GPUs: on simulated products, whose kernels the CPU calculates at each launch."""

import logging

import numpy as np
import pytest

from meshwright.engines import LoopOptions
from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.errors import Cancelled, DeviceLost
from meshwright.engines.loop import MAX_LOOPS, BlockLoop, block_steps
from meshwright.engines.loop_buffers import LoopBuffers
from tests.engines import models
from tests.engines.gpu_bench import PROPS, OnnxRuntimeBench, TensorRTBench, random_inputs
from tests.engines.onnxruntime.test_engine import loop_inputs

LAUNCHES = ("execute", "launch", "begin capture", "end capture", "rows")


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


def launches(bench):
    return [name for name in bench.cuda.names() if name in LAUNCHES]


@pytest.mark.parametrize("step_ms, block_ms, steps, expected", [
    (1.0, 50.0, 20, 20),   # the whole loop
    (1.0, 50.0, 5, 4),     # even, so that the carry is back in its buffer
    (12.0, 50.0, 20, 4),
    (12.0, 50.0, 6, 2),    # four would leave two over
    (5.0, 50.0, 36, 6),    # ten would leave six over
    (5.0, 50.0, 47, 6),    # ten would leave seven, eight seven, six five
    (26.0, 50.0, 20, 0),   # not even two fit
    (0.1, 50.0, 64, 64), (0.1, 50.0, 200, 50), (0.1, 50.0, 1000, 50),  # no graph is endless
    (4.1, 8.0, 20, 0), (4.0, 8.0, 20, 2), (0.0, 50.0, 7, 6), (1.0, 50.0, 1, 0)])
def test_how_many_steps_a_block_has(step_ms, block_ms, steps, expected):
    assert block_steps(step_ms, block_ms, steps) == expected


@pytest.mark.parametrize("step_ms", [1.0, 12.0, 30.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 12])
@pytest.mark.parametrize("keep", [False, True])
def test_scan(bench, step_ms, steps, keep):
    bench.cuda.step_ms = step_ms
    with bench.open() as engine:
        for _ in range(3):
            bench.check_scan(engine, loop_inputs(steps), keep=keep)
        if steps > 1:
            assert engine.block_choice.steps == block_steps(step_ms, 50.0, steps)


def test_the_calls_of_a_first_scan(slow):
    """Two steps to see how long one takes, the rest of the first block, the block's graph, and that block once more; then blocks."""
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        assert engine.block_choice == BlockChoice(4, 50.0, 0.5, 48.0)
    assert launches(slow) == ["rows", "execute", "execute", "rows", "execute", "execute",
                              "begin capture", *["execute"] * 4, "end capture", "launch",
                              "rows", "launch", "rows", "launch"]


def test_the_calls_of_a_later_scan(slow):
    """For each block its rows are copied, then its graph is launched; the host waits for one block when the next is queued."""
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        slow.cuda.calls.clear()
        seen = []
        slow.check_scan(engine, loop_inputs(12), on_step=lambda done, of: seen.append((done, of, launches(slow).count("launch"))))
    assert launches(slow) == ["rows", "launch"] * 3
    assert seen == [(4, 12, 2), (8, 12, 3), (12, 12, 3)]  # a block further is under way


def test_the_rest_is_launched_step_by_step(slow):
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        for steps in (13, 15, 3):
            slow.cuda.calls.clear()
            seen = []
            slow.check_scan(engine, loop_inputs(steps), on_step=lambda done, of, seen=seen: seen.append(done))
            blocks, rest = divmod(steps, 4)
            assert launches(slow) == ["rows", "launch"] * blocks + ["rows"] + ["execute"] * rest
            assert seen == [4, 8, 12][:blocks] + list(range(4 * blocks + 1, steps + 1))


def test_another_number_of_steps_captures_nothing_and_takes_no_memory(slow):
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        slow.cuda.calls.clear()
        held, host = slow.memory.held_bytes, dict(slow.cuda.host)
        for steps in (12, 200, 4, 7, 1):
            slow.check_scan(engine, loop_inputs(steps))
        assert not {"begin capture", "allocate", "free", "allocate host", "free host"} & set(slow.cuda.names())
        assert slow.memory.held_bytes == held and slow.cuda.host == host


def test_a_long_loop_takes_no_more_memory_than_a_short_one(slow):
    peaks = {}
    for steps in (4, 400):
        slow.memory.reset_peak()
        with slow.open() as engine:
            engine.scan(*loop_inputs(steps))
            peaks[steps] = slow.memory.peak_bytes, sum(slow.cuda.host.values())
        slow.memory.trim()
    assert peaks[4] == peaks[400]


def test_addresses(slow):
    """The carry goes from one buffer to the other and back; what differs from step to step lies in the block's slots."""
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        captured = slow.executed()[4:8]
    for now, then in zip(captured, captured[1:], strict=False):
        assert now["x_next"] == then["x"] and now["count_next"] == then["count"] and now["x"] == then["x_next"]
        assert now["x"] != now["x_next"] and now["bias"] == then["bias"] and now["twice"] == then["twice"]
        assert then["z"] - now["z"] == then["gain"] - now["gain"] == 512  # two tensors, each at a multiple of 256
    assert captured[-1]["x_next"] == captured[0]["x"]
    assert captured[2:] == slow.executed()[2:4]  # which ran step by step, in the same slots


def test_the_rows_of_a_block_are_copied_to_the_slots_of_its_graph(slow):
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        slots = slow.executed()[4]
        first = min(slots["z"], slots["gain"])
        slow.cuda.calls.clear()
        engine.scan(*loop_inputs(10))
        assert [call[1:] for call in slow.cuda.calls if call[0] == "rows"] == [(first, 4 * 512), (first, 4 * 512), (first, 2 * 512)]


def test_a_scan_of_other_numbers_launches_the_same_graph(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs(6))
        carry, per_step, constants = loop_inputs(6)
        for scale in (2.0, -1.0):
            arguments = ({**carry, "x": np.float32(scale) * carry["x"]}, {**per_step, "z": np.float32(scale) * per_step["z"]},
                         {"bias": np.float32(scale) * constants["bias"]})
            bench.cuda.calls.clear()
            bench.check_scan(engine, arguments)
            assert launches(bench) == ["rows", "launch"]


def test_device_arrays_as_arguments(slow):
    with slow.open() as engine:
        for _ in range(2):
            slow.check_scan_of_device_arrays(engine, loop_inputs(11))


def test_some_rows_on_the_device_and_some_on_the_host(slow):
    with slow.open() as engine:
        for _ in range(2):
            carry, per_step, constants = loop_inputs(11)
            expected = slow.reference.scan(carry, per_step, constants)["x"]
            placed = {**per_step, "z": slow.memory.upload(per_step["z"])}
            np.testing.assert_allclose(engine.scan(carry, placed, constants)["x"], expected, rtol=1e-6)


def test_no_growth_over_a_hundred_scans(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
        engine.scan(*loop_inputs())
        held = bench.memory.held_bytes
        bench.cuda.calls.clear()
        for i in range(100):
            result = engine.scan(*loop_inputs(), keep=bool(i % 2))
        del result
        # The first result that stays on the GPU takes two blocks of memory; nothing more is taken, and nothing is captured again.
        assert bench.cuda.names().count("allocate") <= 2 and not {"begin capture", "allocate host"} & set(bench.cuda.names())
        assert bench.memory.held_bytes <= held + 2 * 512


def test_each_shape_has_its_own_graph(bench):
    with bench.open() as engine:
        for _ in range(2):
            for steps, length in ((5, 3), (5, 4), (2, 3)):
                bench.check_scan(engine, loop_inputs(steps, length))
        assert bench.cuda.names().count("begin capture") == 2


def test_the_loop_that_was_used_longest_ago_gives_its_buffers_back(bench):
    with bench.open() as engine:
        for length in range(1, MAX_LOOPS + 1):
            engine.scan(*loop_inputs(length=length))
        full, host = bench.memory.held_bytes, sum(bench.cuda.host.values())
        engine.scan(*loop_inputs(length=MAX_LOOPS + 1))
        assert bench.cuda.names().count("close graph") == 1 and bench.memory.held_bytes == full
        assert sum(bench.cuda.host.values()) == host
        bench.check_scan(engine, loop_inputs(length=1))


def test_closing_gives_everything_back(bench):
    with bench.open() as engine:
        engine.scan(*loop_inputs())
    bench.memory.trim()
    assert bench.memory.held_bytes == 0 and not bench.cuda.blocks and not bench.cuda.host
    assert bench.cuda.names().count("close graph") == bench.cuda.names().count("end capture")


# What is measured, and what is used then.

def test_the_first_scan_costs_one_block_more_and_tells_of_its_progress(slow):
    seen = []
    with slow.open() as engine:
        slow.check_scan(engine, loop_inputs(12), on_step=lambda done, of: seen.append(done))
    assert seen == [1, 2, 3, 4, 8, 12]
    # Four steps and three graphs: the first block both ways, then two more.
    assert slow.cuda.clock == 4 * 12.0 + 3 * 0.5


def test_step_by_step_where_that_is_faster(bench, caplog):
    bench.cuda.graph_ms = 100.0
    with bench.open() as engine, caplog.at_level(logging.INFO, "meshwright.engines"):
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(0, 50.0, 100.0, 6.0)
        assert "a block of 6 steps: 100.000 ms as one CUDA graph, 6.000 ms step by step" in caplog.text
        bench.cuda.calls.clear()
        bench.check_scan(engine, loop_inputs(6))
        assert launches(bench) == ["rows", *["execute"] * 6]


def test_graphs_always_and_never(bench):
    bench.cuda.graph_ms = 100.0
    with bench.open(LoopOptions(graphs="always")) as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(6, 50.0, 100.0, 6.0)
    bench.cuda.graph_ms = 0.5
    bench.cuda.calls.clear()
    with bench.open(LoopOptions(graphs="never")) as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(0, 50.0) and not {"launch", "begin capture"} & set(launches(bench))


def test_a_step_that_takes_longer_than_half_a_block_is_launched_alone(bench):
    bench.cuda.step_ms = 30.0
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(0, 50.0) and "begin capture" not in launches(bench)


def test_shorter_blocks_where_the_card_is_shared(bench):
    bench.cuda.step_ms = 2.0
    with bench.open(LoopOptions(block_ms=8.0)) as engine:
        bench.check_scan(engine, loop_inputs(12))
        assert engine.block_choice.steps == 4 and engine.block_choice.block_ms == 8.0


def test_a_scan_of_one_step_measures_nothing(bench):
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(1))
        assert engine.block_choice is None
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice.steps == 6


# What goes wrong.

@pytest.mark.parametrize("stop", [1, 2, 3, 4, 8])
def test_a_scan_that_is_cancelled_in_between(slow, stop):
    """In the first scan, which measures, and in the next one; what comes after it is right."""
    with slow.open() as engine:
        for _ in range(3):
            seen = []

            def on_step(done, steps, seen=seen):
                seen.append(done)
                if done >= stop:
                    raise Cancelled("enough")

            with pytest.raises(Cancelled):
                engine.scan(*loop_inputs(20), on_step=on_step)
            assert seen[-1] >= stop and all(done < stop for done in seen[:-1])
            slow.check_scan(engine, loop_inputs(8))
        slow.check_scan(engine, loop_inputs(20))
    slow.memory.trim()
    assert slow.memory.held_bytes == 0 and not slow.cuda.host


def test_a_cancelled_scan_stops_with_the_block_that_is_under_way(slow):
    def on_step(done, steps):
        raise Cancelled("enough")

    with slow.open() as engine:
        engine.scan(*loop_inputs(20))
        slow.cuda.calls.clear()
        with pytest.raises(Cancelled):
            engine.scan(*loop_inputs(20), on_step=on_step)
        assert launches(slow).count("launch") == 2  # the one that was told of, and the one behind it


def test_an_error_of_the_callers_own_is_not_taken_for_the_gpus(bench):
    def on_step(done, steps):
        raise ValueError("mine")

    with bench.open() as engine, pytest.raises(ValueError, match="mine"):
        engine.scan(*loop_inputs(), on_step=on_step)


@pytest.mark.parametrize("refused", ["begin capture", "end capture"])
def test_a_capture_that_fails_falls_back_to_single_launches(bench, caplog, refused):
    bench.cuda.refuses.add(refused)
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, loop_inputs(12))
        assert f"simulated failure of {refused}" in engine.block_choice.why_not and not engine.block_choice.use_graph
        assert "launch" not in launches(bench) and "no CUDA graph for blocks of 12 steps" in caplog.text


def test_a_graph_with_another_result_is_not_used(slow, caplog):
    slow.vendor.slip = 1.0
    with slow.open() as engine:
        for _ in range(2):
            slow.check_scan(engine, loop_inputs(12))
        assert engine.block_choice.why_not == "its x, count differs from that of the steps"
    assert "gives another x, count than the steps" in caplog.text


def test_a_graph_that_does_not_start_leaves_the_steps(slow, caplog):
    """At its first launch, whose result nobody has compared yet."""
    slow.cuda.refuses.add("launch")
    with slow.open() as engine:
        slow.check_scan(engine, loop_inputs(12))
        assert "simulated failure of launch" in engine.block_choice.why_not and "does not run; it is not used" in caplog.text
        slow.cuda.refuses.clear()
        slow.cuda.calls.clear()
        slow.check_scan(engine, loop_inputs(12))
        assert "launch" not in launches(slow) and len(slow.executed()) == 12


def test_a_graph_that_starts_no_more_leaves_the_steps(slow, caplog):
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        slow.cuda.refuses.add("launch")
        seen = []
        slow.check_scan(engine, loop_inputs(12), on_step=lambda done, of: seen.append(done))
        assert seen == list(range(1, 13)) and not engine.block_choice.use_graph
        assert "is not used any more" in caplog.text and slow.cuda.names().count("close graph") == 1
        slow.check_scan(engine, loop_inputs(12))


def test_a_graph_that_stops_starting_in_mid_loop(slow):
    """The steps of the block that did not start take its place, with the rows that were copied for it."""
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))

        def on_step(done, of):
            slow.cuda.refuses.add("launch")

        slow.cuda.calls.clear()
        slow.check_scan(engine, loop_inputs(20), on_step=on_step)
        assert launches(slow)[:4] == ["rows", "launch", "rows", "launch"] and len(slow.executed()) == 12


def test_a_graph_that_was_not_compared_is_not_launched_again(slow, monkeypatch):
    """The user stops the program, or a test its run, while the first scan compares."""
    with slow.open() as engine:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(BlockLoop, "_time_graph", interrupt)
            engine.scan(*loop_inputs(12))
        slow.cuda.calls.clear()
        slow.check_scan(engine, loop_inputs(12))
        assert launches(slow)[:2] == ["rows", "execute"] and slow.cuda.names().count("begin capture") == 1


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_gpu_lost_in_a_capture_is_no_fallback(bench):
    bench.cuda.breaks = True
    bench.cuda.refuses.add("end capture")
    engine = bench.open()
    with pytest.raises(DeviceLost):
        engine.scan(*loop_inputs())
    engine.close()


def test_too_little_memory_for_a_loop_takes_nothing(bench, monkeypatch):
    with bench.open() as engine:
        engine.run({**loop_inputs()[0], **loop_inputs()[2], "gain": np.float32(1), "z": loop_inputs()[0]["x"]})
        bench.memory.trim()
        held = bench.memory.held_bytes
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(LoopBuffers, "set_slots", refuse)
            engine.scan(*loop_inputs())
        bench.check_scan(engine, loop_inputs())
    bench.memory.trim()
    assert bench.memory.held_bytes == 0 <= held


def refuse(*arguments):
    raise MemoryError


def test_no_steps_give_the_carry_back(bench):
    with bench.open() as engine:
        carry, per_step, constants = loop_inputs(0)
        assert engine.scan(carry, per_step, constants)["x"].tolist() == carry["x"].tolist()
        kept = engine.scan({**carry, "x": bench.memory.upload(carry["x"])}, per_step, constants, keep=True)["x"]
        assert kept.numpy().tolist() == carry["x"].tolist()


def test_the_loop_of_the_text_prior_of_props(make_bench):
    bench = make_bench(PROPS / "prior_step.onnx", halves=(1, 2, 2))
    inputs = random_inputs(bench.reference.spec, halves=2)
    rows = np.stack([inputs.pop("row")] * 3)
    carry = {name: inputs.pop(name) for name in ("latent", "previous")}
    per_step = {"row": rows, "noise": np.stack([inputs.pop("noise")] * 3)}
    with bench.open() as engine:
        for _ in range(2):
            bench.check_scan(engine, (carry, per_step, inputs))
        assert engine.block_choice.steps == 2

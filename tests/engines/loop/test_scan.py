"""Scans in blocks: what is launched, and what comes out."""

import numpy as np
import pytest

from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.loop import MAX_LOOPS, block_steps
from tests.engines.gpu_bench import PROPS, random_inputs
from tests.engines.onnxruntime.test_engine import loop_inputs


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
    assert slow.launches() == ["rows", "execute", "execute", "rows", "execute", "execute",
                              "begin capture", *["execute"] * 4, "end capture", "launch",
                              "rows", "launch", "rows", "launch"]


def test_the_calls_of_a_later_scan(slow):
    """For each block its rows are copied, then its graph is launched; the host waits for one block when the next is queued."""
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        slow.cuda.calls.clear()
        seen = []
        slow.check_scan(engine, loop_inputs(12), on_step=lambda done, of: seen.append((done, of, slow.launches().count("launch"))))
    assert slow.launches() == ["rows", "launch"] * 3
    assert seen == [(4, 12, 2), (8, 12, 3), (12, 12, 3)]  # a block further is under way


def test_the_rest_is_launched_step_by_step(slow):
    with slow.open() as engine:
        engine.scan(*loop_inputs(12))
        for steps in (13, 15, 3):
            slow.cuda.calls.clear()
            seen = []
            slow.check_scan(engine, loop_inputs(steps), on_step=lambda done, of, seen=seen: seen.append(done))
            blocks, rest = divmod(steps, 4)
            assert slow.launches() == ["rows", "launch"] * blocks + ["rows"] + ["execute"] * rest
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
            assert bench.launches() == ["rows", "launch"]


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

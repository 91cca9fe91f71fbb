"""Scans that are cancelled, and what goes wrong with graphs and memory."""

import numpy as np
import pytest

from meshwright.engines.errors import Cancelled, DeviceLost
from meshwright.engines.loop import BlockLoop
from meshwright.engines.loop_buffers import LoopBuffers
from tests.engines.onnxruntime.test_engine import loop_inputs


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
        assert slow.launches().count("launch") == 2  # the one that was told of, and the one behind it


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
        assert "launch" not in bench.launches() and "no CUDA graph for blocks of 12 steps" in caplog.text


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
        assert "launch" not in slow.launches() and len(slow.executed()) == 12


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
        assert slow.launches()[:4] == ["rows", "launch", "rows", "launch"] and len(slow.executed()) == 12


def test_a_graph_that_was_not_compared_is_not_launched_again(slow, monkeypatch):
    """The user stops the program, or a test its run, while the first scan compares."""
    with slow.open() as engine:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(BlockLoop, "_time_graph", interrupt)
            engine.scan(*loop_inputs(12))
        slow.cuda.calls.clear()
        slow.check_scan(engine, loop_inputs(12))
        assert slow.launches()[:2] == ["rows", "execute"] and slow.cuda.names().count("begin capture") == 1


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

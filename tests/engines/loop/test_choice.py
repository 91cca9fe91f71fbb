"""How long a block is, and whether it is launched as a graph: what is measured, and what is used then."""

import logging

import pytest

from meshwright.engines import LoopOptions
from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.loop import block_steps
from tests.engines.onnxruntime.test_engine import loop_inputs


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
        assert bench.launches() == ["rows", *["execute"] * 6]


def test_graphs_always_and_never(bench):
    bench.cuda.graph_ms = 100.0
    with bench.open(LoopOptions(graphs="always")) as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(6, 50.0, 100.0, 6.0)
    bench.cuda.graph_ms = 0.5
    bench.cuda.calls.clear()
    with bench.open(LoopOptions(graphs="never")) as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(0, 50.0) and not {"launch", "begin capture"} & set(bench.launches())


def test_a_step_that_takes_longer_than_half_a_block_is_launched_alone(bench):
    bench.cuda.step_ms = 30.0
    with bench.open() as engine:
        bench.check_scan(engine, loop_inputs(6))
        assert engine.block_choice == BlockChoice(0, 50.0) and "begin capture" not in bench.launches()


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

"""Components of the pack and their loops on a card."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from meshwright.engines import Engine, LoopOptions, open_engine
from meshwright.engines.errors import Cancelled
from meshwright.engines.loop import BlockLoop
from meshwright.runtime.backends import selector
from meshwright.runtime.backends.models import Models
from meshwright.runtime.pack.golden import Golden, compare_outputs
from meshwright.runtime.pack.pack import Pack
from tests.gpu.conftest import PACK, REHEARSAL, options

KINDS = [component.kind for component in Pack.open(PACK, verify=False).manifest.components.values()]
LOOPS = ["prior_step", "refiner_step"]
# On a processor a step takes as long as a hundred do on a card.
STEPS = 6 if REHEARSAL else 48
ROUNDS = 3 if REHEARSAL else 100


@pytest.fixture
def open_step(backend, pack, monkeypatch) -> Callable[..., Engine]:
    """The engine of a step model whose scans are launched as is said."""
    opened = []

    def open_one(kind: str, **loop: object) -> Engine:
        monkeypatch.setitem(selector.GPU_SHARES, "full", LoopOptions(**loop))
        opened.append(Models(pack, **options(backend)))
        return opened[-1].engine(kind)

    yield open_one
    for models in opened:
        models.close()


def arguments(pack: Pack, kind: str, steps: int, seed: int = 0) -> tuple[dict, dict, dict]:
    """Of a scan on golden inputs, with other noise at each step."""
    component, rng = pack.component(kind), np.random.default_rng(seed)
    inputs = Golden(pack).inputs(component)
    carry = {name: inputs.pop(name) for name in ("latent", "previous")}
    row, noise = inputs.pop("row"), inputs.pop("noise")
    row = row.copy()
    row[7] = 0.1  # noise counts
    return carry, {"row": np.stack([row] * steps), "noise": rng.standard_normal((steps, *noise.shape)).astype(np.float32)}, inputs


def close(a: dict, b: dict, tolerance: float = 1e-4) -> bool:
    """Whether results differ by rounding alone."""
    return all(np.abs(a[name] - b[name]).max() <= tolerance * np.abs(b[name]).max() for name in b)


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_is_within_tolerance_of_the_processor(pipeline, pack, kind):
    component = pack.component(kind)
    inputs = Golden(pack).inputs(component)
    with open_engine(pack.path(component.file), threads=None) as reference:
        check = compare_outputs(pipeline.models.engine(kind).run(inputs), reference.run(inputs), component)
    assert check.passed, f"relative error {check.relative:.2g}, tolerance {check.tolerance:.2g}"


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("rest", [0, 1])
def test_blocks_give_what_single_steps_give(open_step, pack, kind, rest):
    given = arguments(pack, kind, STEPS + rest)
    plain = open_step(kind, graphs="never").scan(*given)
    # So short that there are several blocks on a card, if two steps fit into one at all.
    for block_ms in (2.0, 1e6):
        engine = open_step(kind, graphs="always", block_ms=block_ms)
        first, later = engine.scan(*given), engine.scan(*given)
        assert engine.block_choice.why_not is None, engine.block_choice.why_not
        assert close(first, plain) and close(later, plain)
        assert all(np.array_equal(first[name], later[name]) for name in plain)
    assert engine.block_choice.steps == STEPS


def test_another_number_of_steps_and_other_noise(open_step, pack):
    plain, blocks = open_step("prior_step", graphs="never"), open_step("prior_step", graphs="always", block_ms=1e6)
    for seed, steps in enumerate((STEPS, STEPS + 3, 2 * STEPS, 2, 1)):
        given = arguments(pack, "prior_step", steps, seed)
        assert close(blocks.scan(*given), plain.scan(*given))
    assert blocks.block_choice.steps == STEPS


def test_a_loop_that_is_cancelled_in_between(open_step, pack):
    given = arguments(pack, "refiner_step", STEPS)
    engine = open_step("refiner_step", graphs="always", block_ms=5.0)
    whole = engine.scan(*given)
    for _ in range(2):
        seen = []

        def on_step(done, steps, seen=seen):
            seen.append(done)
            raise Cancelled("enough")

        with pytest.raises(Cancelled):
            engine.scan(*given, on_step=on_step)
        assert len(seen) == 1
        assert close(engine.scan(*given), whole)


def test_progress_arrives_while_the_gpu_works(open_step, pack, monkeypatch):
    """The first block is told of when one more is under way, and the rest not even asked for."""
    given = arguments(pack, "refiner_step", 4 * STEPS)
    engine = open_step("refiner_step", graphs="always", block_ms=5.0)
    engine.scan(*given)
    launch, launched, seen = BlockLoop._launch_graph, [], []

    def watched(loop, graph):
        launched.append(time.perf_counter())
        return launch(loop, graph)

    monkeypatch.setattr(BlockLoop, "_launch_graph", watched)
    engine.scan(*given, on_step=lambda done, steps: seen.append((done, len(launched), time.perf_counter())))
    block = engine.block_choice.steps
    assert [done for done, _, _ in seen] == list(range(block, 4 * STEPS + 1, block)) and seen[0][1] == 2 < len(launched)
    if not REHEARSAL:
        began, ended = launched[0], seen[-1][2]
        assert seen[0][2] - began < 0.75 * (ended - began)


def test_an_exception_of_the_callers_own(open_step, pack):
    given = arguments(pack, "refiner_step", STEPS)
    engine = open_step("refiner_step")

    def on_step(done, steps):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        engine.scan(*given, on_step=on_step)
    assert np.isfinite(engine.scan(*given)["latent"]).all()


def test_a_capture_that_fails_leaves_single_steps(open_step, pack, monkeypatch):
    """The stream is waited for within the capture, which CUDA refuses."""
    given = arguments(pack, "refiner_step", STEPS)
    plain = open_step("refiner_step", graphs="never").scan(*given)
    engine = open_step("refiner_step", graphs="always")
    cuda = engine.memory.cuda
    capture = cuda.capture

    def spoiled(work):
        return capture(lambda: (work(), cuda.synchronise()))

    monkeypatch.setattr(cuda, "capture", spoiled)
    for _ in range(2):
        assert close(engine.scan(*given), plain)
    assert engine.block_choice.why_not is not None and not engine.block_choice.use_graph


def test_device_memory_does_not_grow(open_step, pack):
    given = arguments(pack, "prior_step", STEPS)
    engine = open_step("prior_step")
    for _ in range(2):
        engine.scan(*given)
    memory = engine.memory
    memory.trim()
    free, held = memory.cuda.free_bytes()[0], memory.held_bytes
    for i in range(ROUNDS):
        engine.scan(*given, keep=bool(i % 2))
    memory.trim()
    assert memory.held_bytes == held and memory.cuda.free_bytes()[0] >= free - (4 << 20)


def test_what_is_counted_is_what_the_driver_says(open_pipeline, pack):
    """Within the allowance for CUDA's own libraries, which load while the first engines do."""
    models = open_pipeline().models
    models.engine("text_encoder")
    memory = models.backends.memory
    free, held = memory.cuda.free_bytes()[0], memory.held_bytes
    for kind in ("refiner_step", "reconstructor", "vae_decoder"):
        component = pack.component(kind)
        models.engine(kind).run(Golden(pack).inputs(component))
    taken, counted = free - memory.cuda.free_bytes()[0], memory.held_bytes - held
    assert counted > 0 and abs(taken - counted) < 0.25 * taken + (300 << 20)


def test_work_in_the_background(open_pipeline, pack):
    engine = open_pipeline(gpu_share="background").models.engine("prior_step")
    assert np.isfinite(engine.scan(*arguments(pack, "prior_step", STEPS))["latent"]).all()
    assert engine.block_choice.block_ms == 8.0

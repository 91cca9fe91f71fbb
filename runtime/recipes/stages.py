"""Runs the stages of a recipe: times them and passes their progress on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping
from typing import TypeVar

import numpy as np

from ...engines import Engine
from ...engines.engine import Array
from ...engines.errors import InputError
from ...engines.machine.memory import peak_bytes, reset_peak
from ..backends.models import Models
from ..diffusion.noise import normal
from ..diffusion.schedules import Table, make_table
from ..events import Event, Notice, StageDone, StageStarted
from ..pack.manifest import Diffusion
from .known_views import KnownViews
from .stepping import OnStep, stepwise

T = TypeVar("T")
Stage = Generator[Event, None, T]


def run_stage(models: Models, name: str, work: Callable[[], T] | Stage[T]) -> Stage[T]:
    """`work` between StageStarted and StageDone: a function for what is done in one piece, else a generator."""
    if models.measure_memory:
        reset_peak()
    models.reset_device_peak()
    started, loaded = time.perf_counter(), models.loading
    yield StageStarted(name)
    result = (yield from work) if isinstance(work, Generator) else work()
    device_bytes = models.device_peak()
    notices = models.notices()
    models.stage_done()
    for message in notices:
        yield Notice(message)
    peak = peak_bytes() if models.measure_memory else None
    yield StageDone(name, time.perf_counter() - started, models.loading - loaded, peak, device_bytes)
    return result


def encode_image(models: Models, kind: str, image: np.ndarray, *, seed: int, stream: str, keep: Collection[str] = ()) -> dict[str, Array]:
    """The outputs of an encoder of pictures; noise for its posterior comes from `stream`, where the pack samples it.

    keep : as `Models.run`
    """
    component = models.pack.component(kind)
    noise = {"noise": normal(seed, stream, component.shape("noise"))} if component.takes("noise") else {}
    return models.run(kind, keep=keep, image=image, **noise)


def denoise(models: Models, kind: str, loop: Diffusion, *, stage: str, stream: str, seed: int, steps: int | None,
            guidance: float | None, constants: Mapping[str, Array],
            noises: Mapping[str, str] | None = None, kept: KnownViews | None = None) -> Stage[Array]:
    """Draw a latent with the step model `kind`: one scan over the rows of the schedule's table.

    stream : names the noise, so that no two loops of one seed share any
    noises : other inputs that are fresh noise at each step, where the model takes them, and the streams they come from
    kept : views that stay as they are; they are put back before each step, so that each is a scan of its own
    Returns the latent, float32 of the loop's shape, batch axis included; where the engine has it, for the next one.
    """
    try:
        table = make_table(dict(loop.schedule), loop.steps if steps is None else steps,
                           loop.guidance if guidance is None else float(guidance))
    except ValueError as error:
        raise InputError(f"the {stage} has no schedule for that", received=str(error)) from error
    shape = loop.latent_shape
    noise = normal(seed, f"{stream}/init", shape)
    first = (np.float32(table.initial_scale) * noise).astype(np.float32)
    engine, rows = models.engine(kind), np.ascontiguousarray(table.rows, np.float32)
    per_step = {"row": rows, "noise": _step_noise(rows, seed, stream, shape)}
    component = models.pack.component(kind)
    per_step |= {name: normal(seed, other, (len(rows), *component.shape(name))) for name, other in (noises or {}).items()
                 if component.takes(name)}
    carry = {"latent": first, "previous": np.zeros(shape, np.float32)}
    if kept is None:
        last = yield from stepwise(stage, lambda on_step: engine.scan(carry, per_step, constants, keep=True, on_step=on_step))
        return last["latent"]
    last = yield from stepwise(stage, lambda on_step: _scan_around(kept, engine, table, noise, carry, per_step, constants, on_step))
    return kept.finished(last["latent"])


def _scan_around(kept: KnownViews, engine: Engine, table: Table, noise: np.ndarray, carry: Mapping[str, np.ndarray],
                 per_step: Mapping[str, np.ndarray], constants: Mapping[str, Array], on_step: OnStep) -> Mapping[str, np.ndarray]:
    """The scan in steps of one, between which the known views take their places. noise : what the loop starts from."""
    for i, level in enumerate(table.levels):
        slices = {name: value[i:i + 1] for name, value in per_step.items()}
        carry = engine.scan(kept.into(carry, level, noise), slices, constants)
        on_step(i + 1, len(table.levels))
    return carry


def _step_noise(rows: np.ndarray, seed: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape) float32: fresh noise for each step, or zeros if no row asks for any (column 7, k)."""
    whole = (len(rows), *shape)
    if not rows[:, 7].any():
        return np.zeros(whole, np.float32)
    return normal(seed, f"{stream}/step", whole)

"""Runs the stages of a recipe: times them and passes their progress on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

import numpy as np

from ..engines.errors import InputError
from ..engines.memory import peak_bytes, reset_peak
from .events import Event, Notice, StageDone, StageStarted
from .manifest import Diffusion
from .models import Models
from .noise import normal
from .schedules import make_table
from .stepping import stepwise

T = TypeVar("T")
Stage = Generator[Event, None, T]


def run_stage(models: Models, name: str, work: Callable[[], T] | Stage[T]) -> Stage[T]:
    """`work` between StageStarted and StageDone: a function for what is done in one piece, else a generator."""
    reset_peak()
    models.reset_device_peak()
    started, loaded = time.perf_counter(), models.loading
    yield StageStarted(name)
    result = (yield from work) if isinstance(work, Generator) else work()
    device_bytes = models.device_peak()
    models.stage_done()
    for message in models.notices():
        yield Notice(message)
    yield StageDone(name, time.perf_counter() - started, models.loading - loaded, peak_bytes(), device_bytes)
    return result


def encode_image(models: Models, kind: str, image: np.ndarray, *, seed: int, stream: str) -> dict[str, np.ndarray]:
    """The outputs of an encoder of pictures; noise for its posterior comes from `stream`, where the pack samples it."""
    component = models.pack.component(kind)
    noise = {"noise": normal(seed, stream, component.shape("noise"))} if component.takes("noise") else {}
    return models.run(kind, image=image, **noise)


def denoise(models: Models, kind: str, loop: Diffusion, *, stage: str, stream: str, seed: int, steps: int | None,
            guidance: float | None, constants: Mapping[str, np.ndarray],
            noises: Mapping[str, str] | None = None) -> Stage[np.ndarray]:
    """Draw a latent with the step model `kind`: one scan over the rows of the schedule's table.

    stream : names the noise, so that no two loops of one seed share any
    noises : other inputs that are fresh noise at each step, and the streams they come from
    Returns the latent, float32 of the loop's shape, batch axis included.
    """
    try:
        table = make_table(dict(loop.schedule), loop.steps if steps is None else steps,
                           loop.guidance if guidance is None else float(guidance))
    except ValueError as error:
        raise InputError(f"the {stage} has no schedule for that", received=str(error)) from error
    shape = loop.latent_shape
    first = (np.float32(table.initial_scale) * normal(seed, f"{stream}/init", shape)).astype(np.float32)
    engine, rows = models.engine(kind), np.ascontiguousarray(table.rows, np.float32)
    per_step = {"row": rows, "noise": _step_noise(rows, seed, stream, shape)}
    component = models.pack.component(kind)
    per_step |= {name: normal(seed, other, (len(rows), *component.shape(name))) for name, other in (noises or {}).items()}
    carry = {"latent": first, "previous": np.zeros(shape, np.float32)}
    last = yield from stepwise(stage, lambda on_step: engine.scan(carry, per_step, constants, on_step=on_step))
    return last["latent"]


def _step_noise(rows: np.ndarray, seed: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape) float32: fresh noise for each step, or zeros if no row asks for any (column 7, k)."""
    whole = (len(rows), *shape)
    if not rows[:, 7].any():
        return np.zeros(whole, np.float32)
    return normal(seed, f"{stream}/step", whole)

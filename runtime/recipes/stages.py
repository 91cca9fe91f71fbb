"""Runs the stages of a recipe: times them, passes their progress on, and runs their denoising loops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from ...engines import Engine
from ...engines.engine import Array, OnStep, ignore, on_host
from ...engines.errors import Cancelled
from ...engines.machine.memory import peak_bytes, reset_peak
from ..backends.models import Models
from ..diffusion.noise import normal
from ..diffusion.schedules import Table
from ..events import Event, Notice, StageDone, StageStarted, Step
from .guidance import Reuse, scan_guided
from .settings import LoopSettings

T = TypeVar("T")
Stage = Generator[Event, None, T]


@dataclass(frozen=True, eq=False)
class KnownViews:
    """Known views in the latents of a loop.

    latent : (1, c, h, w) float32, of the whole grid; where `mask` is False it has no meaning
    mask : (1, 1, h, w) bool, True where a view is known
    """

    latent: np.ndarray
    mask: np.ndarray

    def with_known(self, carry: Mapping[str, np.ndarray], level: np.ndarray, noise: np.ndarray) -> dict[str, np.ndarray]:
        """The carry of a step that takes latents level[0] * x0 + level[1] * noise, the known views in their places."""
        known = (np.float32(level[0]) * self.latent + np.float32(level[1]) * noise).astype(np.float32)
        return {"latent": np.where(self.mask, known, carry["latent"]), "previous": np.where(self.mask, self.latent, carry["previous"])}

    def finish(self, latent: np.ndarray) -> np.ndarray:
        """The latents (1, c, h, w) that a loop ended with, the known views without any noise."""
        return np.where(self.mask, self.latent, latent)


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


def denoise(models: Models, kind: str, shape: tuple[int, ...], settings: LoopSettings, *, stage: str, stream: str, seed: int,
            constants: Mapping[str, Array], noises: Mapping[str, str] | None = None, known: KnownViews | None = None,
            step_noise: np.ndarray | None = None) -> Stage[Array]:
    """Draw a latent of that shape with the step model `kind`: a scan over the rows of the schedule's table.

    stream : names the noise, so that no two loops of one seed share any
    noises : other inputs that are fresh noise at each step, where the model takes them, and the streams they come from
    step_noise : (N, *shape) float32, fresh for each step, in place of what the stream gives for that shape
    known : views that stay as they are; they are put back before each step, so that each is a scan of its own
    Returns the latent, float32, batch axis included; where the engine has it, for the next one.
    """
    table = settings.table(stage)
    noise = normal(seed, f"{stream}/init", shape)
    first = (np.float32(table.initial_scale) * noise).astype(np.float32)
    engine, rows = models.engine(kind), np.ascontiguousarray(table.rows, np.float32)
    per_step = {"row": rows, "noise": _step_noise(rows, seed, stream, shape) if step_noise is None else step_noise}
    component = models.pack.component(kind)
    per_step |= {name: normal(seed, other, (len(rows), *component.shape(name))) for name, other in (noises or {}).items()
                 if component.takes(name)}
    carry = {"latent": first, "previous": np.zeros(shape, np.float32)}
    if known is None:
        reuse = None if settings.deep_every == 1 else Reuse(models.shallow_engine(kind), settings.deep_every)
        last = yield from iterate_steps(stage, lambda on_step: scan_guided(engine, carry, per_step, constants, keep=True, on_step=on_step,
                                                                           reuse=reuse))
        return last["latent"]
    last = yield from iterate_steps(stage, lambda on_step: _scan_with_known_views(
        known, engine, table, noise, carry, per_step, constants, on_step))
    return known.finish(last["latent"])


def _scan_with_known_views(known: KnownViews, engine: Engine, table: Table, noise: np.ndarray, carry: Mapping[str, np.ndarray],
                           per_step: Mapping[str, np.ndarray], constants: Mapping[str, Array], on_step: OnStep) -> dict[str, np.ndarray]:
    """The scan in steps of one, between which the known views take their places. noise : what the loop starts from."""
    for i, level in enumerate(table.levels):
        slices = {name: value[i:i + 1] for name, value in per_step.items()}
        made = scan_guided(engine, known.with_known(carry, level, noise), slices, constants, on_step=ignore)
        carry = {name: on_host(value) for name, value in made.items()}
        on_step(i + 1, len(table.levels))
    return dict(carry)


def _step_noise(rows: np.ndarray, seed: int, stream: str, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape) float32: fresh noise for each step, or zeros if no row asks for any (column 7, k)."""
    whole = (len(rows), *shape)
    if not rows[:, 7].any():
        return np.zeros(whole, np.float32)
    return normal(seed, f"{stream}/step", whole)


def iterate_steps(stage: str, work: Callable[[OnStep], T]) -> Generator[Step, None, T]:
    """Run `work(on_step)`; yield a Step for each call of `on_step(index from 1, total)`; return what `work` returns.

    The work stays one call, so a backend may record all of its steps at once. It runs on a thread of its
    own: the caller sees each step while the next is computed. When the generator is closed or fails at a
    yield (Ctrl-C included), the work is stopped at its next step and waited for.
    """
    events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(work, events, stop), name="meshwright-steps", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = events.get()
            if kind == "done":
                return value
            if kind == "failed":
                raise value
            yield Step(stage, *value)
    finally:
        stop.set()
        thread.join()


def _run(work: Callable[[OnStep], Any], events: SimpleQueue[tuple[str, Any]], stop: threading.Event) -> None:
    def on_step(index: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled("the run was cancelled between two steps")
        events.put(("step", (index, total)))

    try:
        events.put(("done", work(on_step)))
    except BaseException as error:  # handed to the thread that waits, which raises it
        events.put(("failed", error))

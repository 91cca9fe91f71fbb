"""Launches the steps of a scan one by one, so that the GPU never waits for the host."""

from __future__ import annotations

from collections.abc import Callable

from .cuda.device import Cuda
from .engine import OnStep


def launch_steps(cuda: Cuda, steps: int, launch: Callable[[int], None], on_step: OnStep) -> None:
    """Ask for step 0 to `steps` - 1, and wait for each only when the next is queued.

    launch : asks the stream for the step of that number; on_step : as `Engine.scan`
    """
    done = None
    for i in range(steps):
        launch(i)
        before, done = done, cuda.record()
        if before is not None:
            cuda.wait(before)
            on_step(i, steps)
    cuda.wait(done)
    on_step(steps, steps)

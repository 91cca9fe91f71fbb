"""A denoising loop as a generator: steps come out as they are done, and closing it stops the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any

from ...engines.errors import Cancelled
from ..events import Step

OnStep = Callable[[int, int], None]


def stepwise(stage: str, work: Callable[[OnStep], Any]) -> Generator[Step, None, Any]:
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
            raise Cancelled("the run was stopped between two steps")
        events.put(("step", (index, total)))

    try:
        events.put(("done", work(on_step)))
    except BaseException as error:  # handed to the thread that waits, which raises it
        events.put(("failed", error))

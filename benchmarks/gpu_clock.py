"""How long work takes: by the GPU's own events where there is a stream to put them on, else by the host's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

Work = Callable[[], Any]


class Clock(Protocol):
    """events : whether the GPU takes the time."""

    events: bool

    def milliseconds(self, work: Work) -> float:
        """Of `work`, all that it asked the GPU for included."""


class HostClock:
    """For work that has ended when it returns. now : seconds"""

    events = False

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now

    def milliseconds(self, work: Work) -> float:
        began = self._now()
        work()
        return 1000 * (self._now() - began)


class StreamClock:
    """Events on the stream of our engines. cuda : `engines.cuda.Cuda`, or what has its methods"""

    events = True

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda

    def milliseconds(self, work: Work) -> float:
        self._cuda.synchronise()
        first = self._cuda.record()
        work()
        return self._cuda.milliseconds(first, self._cuda.record())


class TorchClock:
    """Events on PyTorch's current stream."""

    events = True

    def milliseconds(self, work: Work) -> float:
        import torch

        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        first.record()
        work()
        last.record()
        last.synchronize()
        return first.elapsed_time(last)

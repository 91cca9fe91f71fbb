"""The loops of an engine on a GPU: a whole scan as one CUDA graph, captured once and launched again and again, where that is faster than
step by step; and the last few of them, kept with their buffers and graphs.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Generic, Protocol, TypeVar

import numpy as np

from .cache.record import GraphChoice
from .cuda.device import Cuda, Graph
from .engine import Array, OnStep, Tensors, ignore, on_host
from .errors import BackendError, DeviceLost
from .loop_buffers import LoopBuffers

LOG = logging.getLogger("meshwright.engines")
LOG.addHandler(logging.NullHandler())  # a library prints nothing by itself
# A loop that is shorter is timed several times both ways: one run of it says little.
SHORT_MS, ROUNDS = 200.0, 3
# Between the results of the two ways, as a share of the largest value: the same kernels ran, at most their sums in another order.
TOLERANCE = 0.02
# Shapes and numbers of steps of which buffers and graphs are kept; who asks for more of them pays for new ones.
MAX_LOOPS = 4


class GraphLoop:
    """The scans of one engine that have the same shapes and number of steps: their buffers, and a graph on them.

    choice : None until the first scan has timed both ways
    """

    def __init__(self, cuda: Cuda, buffers: LoopBuffers, step: Callable[[Mapping[str, int]], None],
                 capturable: Callable[[], str | None], choice: GraphChoice | None, on_choice: Callable[[GraphChoice], None]) -> None:
        """step : asks the stream for one step on addresses by name; the first one may allocate, later ones must not

        capturable : why steps cannot be captured, or None; asked after the first step
        choice : that an earlier process made; on_choice : told the one that is made here
        """
        self._cuda, self._buffers, self._step, self._capturable = cuda, buffers, step, capturable
        self._graph: Graph | None = None
        self._is_warm = False
        self.choice, self._on_choice = choice, on_choice

    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, on_step: OnStep, keep: bool) -> dict[str, Array]:
        """As `Engine.scan`, with checked arguments."""
        self._buffers.fill(carry, per_step, constants)
        if not self._is_warm:
            self._warm_up(carry)
        if self._graph is None or not self._launch_graph(self._graph):
            self._launch_steps(on_step)
        result = self._buffers.result(keep)
        self._cuda.synchronise()
        if self._graph is not None:
            on_step(self._buffers.steps, self._buffers.steps)
        if self.choice is None:
            self._choose(carry, result)
        return result

    def close(self) -> None:
        """Give graph and buffers back."""
        self._drop_graph()
        self._buffers.close()

    def _warm_up(self, carry: Tensors) -> None:
        """One step outside any capture: the vendors' libraries allocate, compile and load code in the first one."""
        self._step(self._buffers.addresses(0))
        self._cuda.synchronise()
        if self.choice is not None and self.choice.use_graph:
            why_not = self._capture()
            if why_not is not None:
                self.choice = GraphChoice(False, None, None, why_not)
        self._is_warm = True
        self._buffers.refill(carry)

    def _launch_graph(self, graph: Graph) -> bool:
        """Whether the graph started. One that does not, for want of memory say, has done nothing: the steps take its place."""
        try:
            graph.launch()
        except DeviceLost:
            raise
        except BackendError as error:
            LOG.warning("the CUDA graph of a loop of %d steps is not used any more: %s", self._buffers.steps, error)
            self._drop_graph()
            self.choice = GraphChoice(False, None, None, str(error))
            return False
        return True

    def _launch_steps(self, on_step: OnStep) -> None:
        launch_steps(self._cuda, self._buffers.steps, lambda i: self._step(self._buffers.addresses(i)), on_step)

    def _enqueue_steps(self) -> None:
        for i in range(self._buffers.steps):
            self._step(self._buffers.addresses(i))

    def _capture(self) -> str | None:
        """Make the graph of all steps; or why there is none."""
        why_not = self._capturable()
        if why_not is None:
            try:
                self._graph = self._cuda.capture(self._enqueue_steps)
                return None
            except DeviceLost:
                raise
            except BackendError as error:
                why_not = str(error)
        LOG.warning("no CUDA graph for a loop of %d steps, which are launched one by one: %s", self._buffers.steps, why_not)
        return why_not

    def _choose(self, carry: Tensors, result: dict[str, Array]) -> None:
        """Time both ways on the last scan's arguments, and keep the faster one. result : of that scan, step by step."""
        try:
            why_not, times = self._tried(carry, result)
        except BaseException:
            self._drop_graph()  # the next scan must not take it for one that was compared
            raise
        if times is None:
            self.choice = GraphChoice(False, None, None, why_not)
        else:
            graph_ms, plain_ms = times
            self.choice = GraphChoice(graph_ms <= plain_ms, round(graph_ms, 3), round(plain_ms, 3))
            LOG.info("a loop of %d steps: %.3f ms as one CUDA graph, %.3f ms step by step", self._buffers.steps, graph_ms, plain_ms)
        if not self.choice.use_graph:
            self._drop_graph()
        self._on_choice(self.choice)

    def _tried(self, carry: Tensors, result: dict[str, Array]) -> tuple[str | None, tuple[float, float] | None]:
        """Why a graph cannot be used, or the times of both ways. What refuses the graph leaves `result` as good as it was."""
        why_not, graph = self._capture(), self._graph
        if graph is None:
            return why_not, None
        try:
            why_not = self._difference(graph, carry, result)
            return why_not, self._timed(graph, carry) if why_not is None else None
        except DeviceLost:
            raise
        except BackendError as error:
            LOG.warning("a CUDA graph of %d steps does not run; it is not used: %s", self._buffers.steps, error)
            return str(error), None

    def _timed(self, graph: Graph, carry: Tensors) -> tuple[float, float]:
        """Milliseconds of the whole loop as a graph and step by step: medians of interleaved runs."""
        times: tuple[list[float], list[float]] = ([], [])
        while len(times[0]) < ROUNDS and (not times[0] or times[1][0] < SHORT_MS):
            for way, launch in enumerate((graph.launch, lambda: self._launch_steps(ignore))):
                self._buffers.refill(carry)
                first = self._cuda.record()
                launch()
                times[way].append(self._cuda.milliseconds(first, self._cuda.record()))
        return median(times[0]), median(times[1])

    def _difference(self, graph: Graph, carry: Tensors, expected: dict[str, Array]) -> str | None:
        """What is wrong with the graph's result, if it is not that of the steps."""
        self._buffers.refill(carry)
        graph.launch()
        received = self._buffers.carry_after(self._buffers.steps)
        wrong = [name for name, value in expected.items() if not results_match(on_host(value), received[name])]
        if not wrong:
            return None
        LOG.warning("a CUDA graph of %d steps gives another %s than the steps; it is not used", self._buffers.steps, ", ".join(wrong))
        return f"its {', '.join(wrong)} differs from that of the steps"

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None


def results_match(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two results may come from the same kernels."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return np.allclose(a, b, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True)


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


class Closable(Protocol):
    """What can be given back."""

    def close(self) -> None: ...


Loop = TypeVar("Loop", bound=Closable)


class KeptLoops(Generic[Loop]):
    """At most four loops by their keys; which was not asked for longest is closed for a new one."""

    def __init__(self) -> None:
        self._loops: OrderedDict[str, Loop] = OrderedDict()

    def get(self, key: str, make: Callable[[], Loop]) -> Loop:
        """The loop of that key; one that `make` gives, once there is room for it, where there is none."""
        if key not in self._loops:
            while len(self._loops) >= MAX_LOOPS:
                self._loops.popitem(last=False)[1].close()
            self._loops[key] = make()
        self._loops.move_to_end(key)
        return self._loops[key]

    def clear(self) -> None:
        """Close them all."""
        while self._loops:
            self._loops.popitem()[1].close()

    def __iter__(self) -> Iterator[Loop]:
        return iter(self._loops.values())

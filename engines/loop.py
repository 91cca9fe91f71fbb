"""The loops of an engine on a GPU: steps in blocks, each one CUDA graph that is captured once and serves every loop of the same shapes,
whatever its number of steps. TensorRT and ONNX Runtime's CUDA provider use it alike: what a step is, they say.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .cache.record import BlockChoice
from .cuda.device import Cuda, Graph
from .engine import Array, OnStep, Tensors, on_host
from .errors import BackendError, DeviceLost
from .loop_buffers import LoopBuffers, len_of

LOG = logging.getLogger("meshwright.engines")
LOG.addHandler(logging.NullHandler())  # a library prints nothing by itself
# Between the results of a block both ways, as a share of the largest value: the same kernels ran, at most their sums in another order.
TOLERANCE = 0.02
# Shapes of which buffers and graphs are kept; who asks for more of them pays for new ones.
MAX_LOOPS = 4
# Of one block, however short its steps: a graph's memory and the time to capture it grow with its kernels.
MAX_STEPS = 64
# Steps whose rows are copied to the GPU at once where there is no graph.
PLAIN_STEPS = 8


@dataclass(frozen=True)
class LoopOptions:
    """block_ms : that a block of steps takes at most, and so the time between two calls of `on_step`, where a step itself takes less

    graphs : "measured" uses CUDA graphs where they are faster than steps launched one by one and give the same; "always" wherever they
        can be captured and give the same; "never" not at all
    """

    block_ms: float = 50.0
    graphs: Literal["measured", "always", "never"] = "measured"


NORMAL = LoopOptions()


class BlockLoop:
    """The scans of one engine that have the same shapes: their buffers, and the graph of one block on them.

    A block of K steps reads what differs from step to step in slots of its own, to which it is copied before each launch. K is even: the
    carry is back in its buffer afterwards, so that one graph serves all blocks. What remains of N steps is launched step by step. Two
    launches are under way at a time, so that the GPU never waits for the host.
    choice : None until a scan of two steps or more has measured
    """

    def __init__(self, cuda: Cuda, buffers: LoopBuffers, step: Callable[[Mapping[str, int]], None], *, options: LoopOptions,
                 why_not: Callable[[], str | None] = lambda: None, recover: Callable[[], None] = lambda: None,
                 choice: BlockChoice | None = None, on_choice: Callable[[BlockChoice], None] = lambda choice: None) -> None:
        """step : asks the stream for one step on addresses by name; the first one may allocate, compile and load, later ones must not

        why_not : why steps cannot be captured, or None; asked after the first steps
        recover : makes steps possible again after a capture that failed
        choice : that an earlier process made; on_choice : told the one that is made here
        """
        self._cuda, self._buffers, self._step, self._options = cuda, buffers, step, options
        self._why_not, self._recover, self._on_choice = why_not, recover, on_choice
        self._graph: Graph | None = None
        fits = choice is not None and options.graphs == "measured" and choice.block_ms == options.block_ms
        self.choice = BlockChoice(0, options.block_ms) if options.graphs == "never" else choice if fits else None

    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, on_step: OnStep, keep: bool) -> dict[str, Array]:
        """As `Engine.scan`, with checked arguments of at least one step."""
        steps, done = len_of(per_step), 0
        self._buffers.fill(carry, constants)
        if self._graph is None and steps > 1 and (self.choice is None or self.choice.use_graph):
            done = self._first_use(carry, per_step, on_step)
        self._launch(per_step, done, steps, on_step)
        return self._buffers.result(steps, keep)

    def give_graph_up(self, why_not: str) -> None:
        """Go on step by step: what the graph was captured from is gone."""
        self._drop_graph()
        self.choice = BlockChoice(0, self._options.block_ms, why_not=why_not)

    def close(self) -> None:
        """Give graph and buffers back."""
        self._drop_graph()
        self._buffers.close()

    def _launch(self, per_step: Tensors, done: int, steps: int, on_step: OnStep) -> None:
        """Run the steps from `done` on: blocks, and the rest one by one."""
        progress = _Progress(self._cuda, steps, on_step)
        if not self._buffers.slots:
            self._buffers.set_slots(PLAIN_STEPS)
        while done < steps:
            count = min(self._buffers.slots, steps - done)
            self._buffers.load(per_step, done, count)
            if self._graph is not None and count == self._buffers.slots and self._launch_graph(self._graph):
                done += count
                progress.launched(done)
            else:
                for slot in range(count):
                    self._step(self._buffers.addresses(slot))
                    done += 1
                    progress.launched(done)
        progress.finish()

    def _launch_graph(self, graph: Graph) -> bool:
        """Whether the graph started. One that does not, for want of memory say, has done nothing: the steps take its place."""
        try:
            graph.launch()
        except DeviceLost:
            raise
        except BackendError as error:
            LOG.warning("the CUDA graph of a block of %d steps is not used any more: %s", self._buffers.slots, error)
            self.give_graph_up(str(error))
            return False
        return True

    def _first_use(self, carry: Tensors, per_step: Tensors, on_step: OnStep) -> int:
        """Run the first steps one by one, because the vendors' libraries allocate, compile and load code then, and make the block's graph.
        Where no earlier process has measured, the first block runs both ways.

        -> the steps that are done, an even number
        """
        known = self.choice
        step_ms = self._first_steps(per_step, on_step)
        if known is not None:
            self._buffers.set_slots(known.steps)
            self._graph, why_not = self._capture()
            if self._graph is None:
                self.choice = BlockChoice(0, self._options.block_ms, why_not=why_not)
            return 2
        steps = block_steps(step_ms, self._options.block_ms, len_of(per_step))
        if steps == 0:
            self._decide(BlockChoice(0, self._options.block_ms))
            return 2
        try:
            self._compare(carry, per_step, steps, step_ms, on_step)
        except BaseException:
            self._drop_graph()  # the next scan must not take it for one that was compared
            raise
        return steps

    def _first_steps(self, per_step: Tensors, on_step: OnStep) -> float:
        """Run two steps -> milliseconds of the second."""
        self._buffers.set_slots(2)
        self._buffers.load(per_step, 0, 2)
        self._step(self._buffers.addresses(0))
        self._cuda.synchronise()
        on_step(1, len_of(per_step))
        first = self._cuda.record()
        self._step(self._buffers.addresses(1))
        step_ms = self._cuda.milliseconds(first, self._cuda.record())
        on_step(2, len_of(per_step))
        return step_ms

    def _compare(self, carry: Tensors, per_step: Tensors, steps: int, step_ms: float, on_step: OnStep) -> None:
        """Finish the first block step by step, run it once more as a graph, and keep the faster way."""
        self._buffers.set_slots(steps)
        self._buffers.load(per_step, 0, steps)
        plain_ms = 2 * step_ms if steps == 2 else self._time_steps(per_step, steps, on_step) * steps / (steps - 2)
        expected = self._buffers.carry_after(steps)
        graph_ms = None
        self._graph, why_not = self._capture()
        if self._graph is not None:
            graph_ms, why_not = self._time_graph(self._graph, carry, expected)
        faster = graph_ms is not None and (graph_ms <= plain_ms or self._options.graphs == "always")
        choice = BlockChoice(steps if faster else 0, self._options.block_ms, _rounded(graph_ms), _rounded(plain_ms), why_not)
        if not choice.use_graph:
            self._drop_graph()
            self._buffers.fill(expected, {})
        self._decide(choice)

    def _time_steps(self, per_step: Tensors, stop: int, on_step: OnStep) -> float:
        """Run steps 2 to `stop` - 1 of the block -> milliseconds."""
        progress, first = _Progress(self._cuda, len_of(per_step), on_step), self._cuda.record()
        for slot in range(2, stop):
            self._step(self._buffers.addresses(slot))
            progress.launched(slot + 1)
        last = self._cuda.record()
        progress.finish()
        return self._cuda.milliseconds(first, last)

    def _time_graph(self, graph: Graph, carry: Tensors, expected: Mapping[str, np.ndarray]) -> tuple[float | None, str | None]:
        """Milliseconds of the first block as a graph; or None, and why it cannot be used."""
        try:
            self._buffers.fill(carry, {})
            first = self._cuda.record()
            graph.launch()
            milliseconds = self._cuda.milliseconds(first, self._cuda.record())
            received = self._buffers.carry_after(self._buffers.slots)
        except DeviceLost:
            raise
        except BackendError as error:
            LOG.warning("a CUDA graph of %d steps does not run; it is not used: %s", self._buffers.slots, error)
            return None, str(error)
        wrong = [name for name, value in expected.items() if not results_match(value, received[name])]
        if wrong:
            LOG.warning("a CUDA graph of %d steps gives another %s than the steps; it is not used", self._buffers.slots, ", ".join(wrong))
            return None, f"its {', '.join(wrong)} differs from that of the steps"
        return milliseconds, None

    def _capture(self) -> tuple[Graph | None, str | None]:
        """The graph of a block; or None, and why there is none."""
        why_not = self._why_not()
        if why_not is None:
            try:
                return self._cuda.capture(self._enqueue_block), None
            except DeviceLost:
                raise
            except BackendError as error:
                why_not = str(error)
                self._recover()
        LOG.warning("no CUDA graph for blocks of %d steps, which are launched one by one: %s", self._buffers.slots, why_not)
        return None, why_not

    def _enqueue_block(self) -> None:
        for slot in range(self._buffers.slots):
            self._step(self._buffers.addresses(slot))

    def _decide(self, choice: BlockChoice) -> None:
        self.choice = choice
        if choice.graph_ms is not None:
            LOG.info("a block of %d steps: %.3f ms as one CUDA graph, %.3f ms step by step", self._buffers.slots, choice.graph_ms,
                     choice.plain_ms)
        self._on_choice(choice)

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None


class _Progress:
    """Waits for a launch only when the next one is queued, and says then how many steps are done."""

    def __init__(self, cuda: Cuda, steps: int, on_step: OnStep) -> None:
        self._cuda, self._steps, self._on_step = cuda, steps, on_step
        self._under_way: tuple[Any, int] | None = None

    def launched(self, done: int) -> None:
        """done : steps that are done when what was launched so far is"""
        before, self._under_way = self._under_way, (self._cuda.record(), done)
        self._report(before)

    def finish(self) -> None:
        """Wait for the last launch."""
        self._report(self._under_way)
        self._under_way = None

    def _report(self, launch: tuple[Any, int] | None) -> None:
        if launch is not None:
            event, done = launch
            self._cuda.wait(event)
            self._on_step(done, self._steps)


def block_steps(step_ms: float, block_ms: float, steps: int) -> int:
    """K: how many steps of `step_ms` each go into a block of `block_ms`. Even, at most `steps` and MAX_STEPS; 0 where not even two go.

    Of the numbers from half of what goes to all of it, the one that leaves the fewest of `steps` over, the largest of those.
    """
    most = min(steps, MAX_STEPS, int(block_ms / step_ms) if step_ms > 0 else steps) // 2 * 2
    if most < 2:
        return 0
    least = max(2, (most // 2 + 1) // 2 * 2)
    return min(range(least, most + 1, 2), key=lambda count: (steps % count, -count))


def results_match(a: Array, b: Array) -> bool:
    """Whether two results may come from the same kernels."""
    a, b = (on_host(each).astype(np.float64) for each in (a, b))
    scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return np.allclose(a, b, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


class KeptLoops:
    """At most four loops by their keys; which was not asked for longest is closed for a new one."""

    def __init__(self) -> None:
        self._loops: OrderedDict[str, BlockLoop] = OrderedDict()

    def get(self, key: str, make: Callable[[], BlockLoop]) -> BlockLoop:
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

    def __iter__(self) -> Iterator[BlockLoop]:
        return iter(self._loops.values())

"""The steps of a scan on ONNX Runtime's CUDA provider: fixed bindings, and a CUDA graph of a step where that is faster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import median
from typing import Any

import numpy as np

from ..cache.record import GraphChoice
from ..cuda.memory import DeviceArray, DeviceMemory
from ..engine import NEXT, Array, OnStep, Tensors, ignore
from ..errors import BackendError, DeviceLost
from ..loop import ROUNDS, launch_steps, results_match
from ..loop_buffers import LoopBuffers

LOG = logging.getLogger("meshwright.engines")
LOG.addHandler(logging.NullHandler())  # a library prints nothing by itself
# Steps that are timed both ways: each is launched like any other.
TIMED_STEPS = 4
NO_GRAPH = -1


class StepLoop:
    """The scans of one session that have the same shapes and number of steps.

    Step i is bound to carry set i % 2, so two bindings serve all steps; what changes from step to step is copied on the GPU
    to where they read it, because a captured step goes on reading the addresses that it was captured with.
    choice : None until the first scan has timed both ways; its milliseconds are those of the first TIMED_STEPS steps
    is_broken : whether a capture failed, after which the session must not be used any more
    """

    def __init__(self, session: Any, memory: DeviceMemory, options: Callable[..., Any], arguments: tuple[Tensors, Tensors, Tensors],
                 others: Mapping[str, DeviceArray | None], graphs: tuple[int, int], no_graph: str | None) -> None:
        """options : makes run options; others : arrays for outputs that no step needs, None where their shape is not known

        graphs : numbers that no other loop of the session has; no_graph : why there is none, or None
        """
        carry, per_step, constants = arguments
        self._session, self._cuda = session, memory.cuda
        known = {name: array for name, array in others.items() if array is not None}
        self._buffers = LoopBuffers(memory, carry, per_step, constants, known)
        self._slots = {name: memory.empty(value.shape[1:], value.dtype) for name, value in per_step.items()}
        self._specs = {name: (value.dtype, self._buffers.shapes()[name]) for name, value in {**carry, **per_step, **constants}.items()}
        self._bindings = [self._bind(parity, carry, others) for parity in range(2)]
        self._plain = [options(NO_GRAPH, wait=False)] * 2
        self._captured = [options(graph, wait=False) for graph in graphs]
        self._graphs = graphs
        self._in_use, self._has_graphs = self._plain, False
        self.is_broken = False
        self.choice = None if no_graph is None else GraphChoice(False, None, None, no_graph)

    def scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, on_step: OnStep, keep: bool) -> dict[str, Array]:
        """As `Engine.scan`, with checked arguments."""
        self._buffers.fill(carry, per_step, constants)
        self._launch(self._in_use, self._buffers.steps, on_step)
        result = self._buffers.result(keep)
        self._cuda.synchronise()
        if self.choice is None:
            self._choose(carry)
        return result

    def close(self) -> None:
        """Give buffers and graphs back."""
        if self._has_graphs:
            for graph in self._graphs:
                with suppress(BackendError), self._cuda.translate_errors("a graph could not be given back"):
                    self._session.release_captured_graph(graph)
        self._buffers.close()
        for array in self._slots.values():
            array.close()

    def _launch(self, options: list[Any], steps: int, on_step: OnStep) -> None:
        launch_steps(self._cuda, steps, lambda i: self._step(i, options[i % 2]), on_step)

    def _step(self, i: int, options: Any) -> None:
        with self._cuda.translate_errors(f"step {i + 1} of {self._buffers.steps} did not run"):
            addresses = self._buffers.addresses(i)
            for name, slot in self._slots.items():
                self._cuda.copy(addresses[name], slot.address, slot.nbytes)
            self._session.run_with_iobinding(self._bindings[i % 2], options)

    def _choose(self, carry: Tensors) -> None:
        """Time the first steps both ways, and keep the faster one."""
        why_not, times = self._try_graphs(carry)
        if times is None:
            LOG.warning("no CUDA graph for the steps of a loop: %s", why_not)
            self.choice = GraphChoice(False, None, None, why_not)
            return
        graph_ms, plain_ms = times
        self.choice = GraphChoice(graph_ms <= plain_ms, round(graph_ms, 3), round(plain_ms, 3))
        LOG.info("%d steps: %.3f ms as CUDA graphs, %.3f ms without", self._few, graph_ms, plain_ms)
        if self.choice.use_graph:
            self._in_use = self._captured

    def _try_graphs(self, carry: Tensors) -> tuple[str | None, tuple[float, float] | None]:
        """Why graphs cannot be used (a capture or a launch that fails, or results that differ), or the times of both ways."""
        expected = self._first_steps(self._plain, carry)
        try:
            self._first_steps(self._captured, carry)  # a step's first run with a graph captures it
            self._has_graphs = True
            received = self._first_steps(self._captured, carry)
            wrong = [name for name, value in expected.items() if not results_match(value, received[name])]
            return (f"its {', '.join(wrong)} differs from that of the steps", None) if wrong else (None, self._timed(carry))
        except DeviceLost:
            raise
        except BackendError as error:
            self.is_broken = True
            self._cuda.end_capture()
            return str(error), None

    def _timed(self, carry: Tensors) -> tuple[float, float]:
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for way, options in enumerate((self._captured, self._plain)):
                self._buffers.refill(carry)
                first = self._cuda.record()
                self._launch(options, self._few, ignore)
                times[way].append(self._cuda.milliseconds(first, self._cuda.record()))
        return median(times[0]), median(times[1])

    @property
    def _few(self) -> int:
        return min(TIMED_STEPS, self._buffers.steps)

    def _first_steps(self, options: list[Any], carry: Tensors) -> dict[str, np.ndarray]:
        self._buffers.refill(carry)
        self._launch(options, self._few, ignore)
        return self._buffers.carry_after(self._few)

    def _bind(self, parity: int, carry: Tensors, others: Mapping[str, DeviceArray | None]) -> Any:
        binding, device = self._session.io_binding(), self._cuda.device
        addresses = {**self._buffers.addresses(parity), **{name: slot.address for name, slot in self._slots.items()}}
        for name, (dtype, shape) in self._specs.items():
            binding.bind_input(name, "cuda", device, dtype, shape, addresses[name])
        for name in carry:
            binding.bind_output(name + NEXT, "cuda", device, *self._specs[name], addresses[name + NEXT])
        for name, array in others.items():
            if array is None:
                binding.bind_output(name, "cpu")
            else:
                binding.bind_output(name, "cuda", device, array.dtype, array.shape, array.address)
        return binding

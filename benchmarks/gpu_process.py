"""Processes that measure: asked by turns, each answer within a time limit, so that one that fails leaves the rest."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from .gpu_sides import Task

ROOT = Path(__file__).parent.parent
Answer = dict[str, Any]


class Asked(Protocol):
    """Something that answers requests, and starts anew where it has to."""

    def ask(self, limit: float, **request: Any) -> Answer:
        """The answer, or {"failed": why}; never raises. limit : in seconds"""


class Process:
    """A process of `gpu_worker`. It starts when it is first asked, and again after an end or a time limit; if it could not start,
    never again.

    log : where its standard error goes; never : what it said when it could not start, else None
    """

    def __init__(self, task: Task, log: Path) -> None:
        self._task, self._log = task, log
        self._child: subprocess.Popen | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.never: Answer | None = None

    def ask(self, limit: float, **request: Any) -> Answer:
        """As `Asked.ask`. The time of a start counts."""
        deadline = time.monotonic() + limit
        if self.never is not None:
            return self.never
        if self._child is None:
            self._start()
            ready = self._answer(deadline, "start")
            if "failed" in ready:
                self.close()
                self.never = ready
                return ready
        with suppress(OSError):  # one that has ended is told by its answer
            print(json.dumps(request), file=self._child.stdin, flush=True)
        return self._answer(deadline, request["do"])

    def close(self) -> None:
        """End it at once, with what it started."""
        child, self._child = self._child, None
        if child is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        with suppress(OSError):
            child.stdin.close()
        child.stdout.close()

    def _start(self) -> None:
        self._lines = queue.Queue()
        command = [sys.executable, "-m", "benchmarks.gpu_worker", json.dumps(dataclasses.asdict(self._task))]
        with self._log.open("a") as log:
            self._child = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT,
                                           start_new_session=True)
        threading.Thread(target=_read, args=(self._child.stdout, self._lines), daemon=True).start()

    def _answer(self, deadline: float, what: str) -> Answer:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self.close()
            return {"failed": f"{what}: no answer within the time limit"}
        if line is None:
            child = self._child
            self.close()
            return {"failed": f"{what}: the process ended with code {child.returncode}, see {self._log.name}"}
        return json.loads(line)


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    with suppress(ValueError):  # of a stream that was closed meanwhile
        for line in stream:
            lines.put(line)
    lines.put(None)


def interleaved(sides: Mapping[str, Asked], request: Mapping[str, Any], *, budget: float, limit: float, fewest: int, most: int,
                repeat_ms: float = 0.0, now: Callable[[], float] = time.monotonic) -> dict[str, Answer]:
    """Ask all sides by turns, and gather what they measured.

    Each is asked once to warm up, then round after round, one after the other, so that what changes meanwhile (a card that grows
    warm, another program) meets all sides alike. One that fails is left out of the further rounds.

    request : without "repeat", which is chosen so that an answer holds about `repeat_ms` milliseconds of work; 0 for single ones
    budget : seconds that the rounds may take, about; but at least `fewest` and at most `most` of them
    limit : seconds for one answer
    Returns for each side {"ms": all, "runs": the stages of each, "cold_ms": of the first, ...} with the last answer's other
    figures, or {"failed": why}.
    """
    found, repeats = {}, {}
    for name, side in sides.items():
        first = side.ask(limit, **request, **({"repeat": 1} if repeat_ms else {}))
        found[name] = first if "failed" in first else {**first, "ms": [], "runs": [], "cold_ms": first["ms"][0]}
        repeats[name] = 1
    began, rounds = now(), 0
    while rounds < most and (rounds < fewest or now() - began < budget):
        for name, side in sides.items():
            if "failed" in found[name]:
                continue
            answer = side.ask(limit, **request, **({"repeat": repeats[name]} if repeat_ms else {}))
            if "failed" in answer:
                found[name] = answer
                continue
            runs = [*found[name]["runs"], *([answer["stages"]] if "stages" in answer else [])]
            found[name] = {**answer, "ms": found[name]["ms"] + answer["ms"], "runs": runs, "cold_ms": found[name]["cold_ms"]}
            if repeat_ms:  # the first of all may have compiled; from the second on it is known how long one takes
                repeats[name] = max(1, min(50, int(repeat_ms / max(min(answer["ms"]), 1e-3))))
        rounds += 1
    return found

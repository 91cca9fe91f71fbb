"""Sides that are measured, each in a process of its own, so that its memory is its own and one that fails leaves the rest.

The two speak JSON, a line each: requests {"do": NAME, ...} on the worker's standard input, an answer to each on its standard output,
{"failed": WHY} where it did not work. The first answer says that the worker is ready.
"""

from __future__ import annotations

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

from .command import ROOT

Answer = dict[str, Any]


class Side(Protocol):
    """Something that answers requests, and starts anew where it has to."""

    def ask(self, limit: float, **request: Any) -> Answer:
        """The answer, or {"failed": why}; never raises. limit : in seconds"""


class Worker:
    """A process that serves requests (`serve`). It starts when it is first asked, and again after an end or a time limit; if it could
    not start, never again.

    module, arguments : of `python -m`
    environment : variables on top of this process' own; python : its interpreter, None for this one
    log : where its standard error goes, None for that of this process
    ready : its first answer, or {"failed": why}; None until it is asked
    """

    def __init__(self, module: str, *arguments: str, log: Path | None = None, environment: Mapping[str, str] | None = None,
                 python: str | None = None) -> None:
        self._command, self._log = [python or sys.executable, "-m", module, *arguments], log
        self._environment = {**os.environ, **(environment or {})}
        self._child: subprocess.Popen | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.ready: Answer | None = None

    def ask(self, limit: float = float("inf"), **request: Any) -> Answer:
        """As `Side.ask`. The time of a start counts."""
        deadline = time.monotonic() + limit
        if self.never is not None:
            return self.never
        if self._child is None:
            self._start()
            self.ready = self._answer(deadline, "start")
            if self.never is not None:
                self.close()
                return self.never
        with suppress(OSError):  # one that has ended is told by its answer
            print(json.dumps(request), file=self._child.stdin, flush=True)
        return self._answer(deadline, request["do"])

    def insist(self, **request: Any) -> Answer:
        """As `ask`, without a limit; SystemExit where it fails."""
        answer = self.ask(**request)
        if "failed" in answer:
            raise SystemExit(answer["failed"])
        return answer

    @property
    def never(self) -> Answer | None:
        """What it said when it could not start, else None."""
        return self.ready if self.ready and "failed" in self.ready else None

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
        log = None if self._log is None else self._log.open("a")
        try:
            self._child = subprocess.Popen(self._command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT,
                                           start_new_session=True, env=self._environment)
        finally:
            if log:
                log.close()
        threading.Thread(target=_read, args=(self._child.stdout, self._lines), daemon=True).start()

    def _answer(self, deadline: float, what: str) -> Answer:
        try:
            # Threads cannot wait for an infinite time.
            line = self._lines.get(timeout=min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX))
        except queue.Empty:
            self.close()
            return {"failed": f"{what}: no answer within the time limit"}
        if line is None:
            child = self._child
            self.close()
            where = "" if self._log is None else f", see {self._log.name}"
            return {"failed": f"{what}: the process ended with code {child.returncode}{where}"}
        return json.loads(line)


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    with suppress(ValueError):  # of a stream that was closed meanwhile
        for line in stream:
            lines.put(line)
    lines.put(None)


def serve(open_worker: Callable[[], Any]) -> None:
    """In the worker: answer every request on standard input with what the method of that name gives, until the input ends.

    open_worker : makes the object whose public methods are the requests
    The first answer is {"ready": seconds that opening took, "peak_bytes": memory until then}. What libraries print goes to standard
    error; the process ends with the one that started it.
    """
    began = time.perf_counter()
    from meshwright.engines.machine.memory import peak_bytes
    from meshwright.engines.machine.parent import end_with_parent

    end_with_parent(os.getppid())
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)
        worker = answer(open_worker)
        failed = isinstance(worker, dict)
        _say(output, worker if failed else {"ready": time.perf_counter() - began, "peak_bytes": peak_bytes()})
        for line in () if failed else sys.stdin:
            request = json.loads(line)
            _say(output, answer(lambda request=request: getattr(worker, request.pop("do"))(**request)))


def answer(work: Callable[[], Any]) -> Any:
    """What `work` gives, or why it gives nothing: a benchmark goes on without what fails."""
    import traceback

    try:
        return work()
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def _say(output: Any, words: Mapping[str, Any]) -> None:
    print(json.dumps(words), file=output, flush=True)

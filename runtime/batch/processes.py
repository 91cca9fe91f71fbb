"""Workers of a batch as processes of this machine."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from ...engines.errors import MeshwrightError
from ...engines.machine.hardware import gpu_environments
from ...engines.machine.parent import end_with_parent
from ..pipeline import Pipeline
from .crew import READY, Answer, Lost
from .worker import BatchSettings, Maker, Work

# Not a fork: threads of the caller, and of ONNX Runtime, would be lost in it.
CONTEXT = multiprocessing.get_context("spawn")
# Seconds that a process has to end by itself once it has closed its connection.
TO_END = 5.0


class Process:
    """A process with one open pipeline. environment : what it gets besides ours"""

    def __init__(self, settings: BatchSettings, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.connection: Connection
        self.connection, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=work, args=(theirs, settings, environment, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, work: Work) -> None:
        """As of every `Worker`."""
        with suppress(OSError):  # it is dead, as its end of the connection will tell
            self.connection.send(work)

    def receive(self) -> Answer:
        """What it has said."""
        try:
            answer: Answer = self.connection.recv()
            return answer
        except (EOFError, OSError):
            self._process.join(TO_END)
            code = self._process.exitcode
            return Lost(f"ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}")

    def end(self) -> None:
        """As of every `Worker`."""
        self._process.kill()
        self._process.join()
        self.connection.close()


class Processes:
    """jobs : how many; they share the GPUs, or the cores where nothing is said of threads. None : one for each GPU, or one"""

    def __init__(self, settings: BatchSettings, jobs: int | None) -> None:
        self._environments = gpu_environments()
        self._jobs = jobs or len(self._environments)
        if settings.engine.get("threads") is None and self._jobs > 1:
            settings = replace(settings, engine={**settings.engine, "threads": max(1, (os.cpu_count() or 1) // self._jobs)})
        self._settings = settings
        self._started: list[Process] = []

    def room(self) -> int:
        """As of all `Workers`."""
        return self._jobs

    def start(self) -> Process:
        """On the GPU that the fewest others use."""
        taken = [process.environment for process in self._started]
        process = Process(self._settings, min(self._environments, key=taken.count))
        self._started.append(process)
        return process

    def answers(self, workers: Sequence[Process], seconds: float) -> Sequence[tuple[Process, Answer]]:
        """As of all `Workers`."""
        self._started = [*workers]
        ready = wait([worker.connection for worker in workers], None if math.isinf(seconds) else seconds)
        return [(worker, worker.receive()) for worker in workers if worker.connection in ready]


def work(connection: Connection, settings: BatchSettings, environment: Mapping[str, str], parent: int) -> None:
    """The whole process: says READY, or the error that kept the pack from being opened, and then a Result for each (line, hash)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    end_with_parent(parent)
    os.environ.update(environment)
    try:
        pipe = Pipeline.open(settings.pack, **settings.engine)
    except MeshwrightError as error:
        connection.send(error)
        return
    with pipe:
        connection.send(READY)
        maker = Maker(pipe, settings)
        while True:
            try:
                line, request = connection.recv()
            except (EOFError, OSError):  # the parent has ended
                return
            connection.send(maker.result(line, request))

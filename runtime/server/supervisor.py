"""Keeps a server's workers running, one for each device: starts them, wakes them, and replaces those that die or hang."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO

from ...engines.machine.child import start_child
from .folder import DataFolder, without_folders
from .store import TaskStore
from .worker import LOST, WorkerOptions

# Seconds: between two looks at the workers; before a worker that died at once is started again, the longest such wait; that a worker
# has to end by itself, and that a task may overrun its deadline before its worker is killed.
LOOK, SHORTEST_PAUSE, LONGEST_PAUSE, TO_END, GRACE = 0.1, 0.2, 30.0, 5.0, 10.0
COMMAND = (sys.executable, "-m", "meshwright.runtime.server.worker")


@dataclass
class _Slot:
    """The place of one worker. environment : what its process gets besides ours"""

    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    ready: bool = False
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0
    last_words: list[str] = field(default_factory=list)


class Supervisor:
    """One worker for each of `environments`, from `start` to `stop`.

    on_change : called, from any thread, with the id of a task of which there is something new, or with "" for the queue
    """

    def __init__(self, folder: DataFolder, store: TaskStore, options: WorkerOptions, environments: tuple[Mapping[str, str], ...],
                 on_change: Callable[[str], None]) -> None:
        self.folder, self.store, self.options, self.on_change = folder, store, options, on_change
        self.restarts = 0
        self._slots = [_Slot(environment) for environment in environments]
        self._stopping = threading.Event()
        # Workers are started by one thread that stays: Linux ends them with the thread that started them.
        self._thread = threading.Thread(target=self._watch, name="meshwright-supervisor")

    @property
    def ready(self) -> int:
        """The number of workers that take tasks."""
        return sum(slot.ready for slot in self._slots)

    @property
    def reason(self) -> str:
        """What the last worker that did not start said, "" if all did."""
        return without_folders(next((slot.last_words[-1] for slot in self._slots if not slot.ready and slot.last_words), ""))

    def start(self) -> None:
        """What an earlier server left in progress is pending again; the workers are started."""
        self.store.give_back_all("the server was ended meanwhile")
        self._thread.start()

    def stop(self) -> None:
        """End the workers. What they were doing is pending again, for the next server."""
        self._stopping.set()
        self._thread.join()

    def wake(self) -> None:
        """Tell the workers to look at the queue: something is new, or to be cancelled."""
        for slot in self._slots:
            process = slot.process
            if process is not None and process.stdin is not None:
                with suppress(OSError, ValueError):  # it has ended; whoever takes its place looks by itself
                    process.stdin.write(b"\n")
                    process.stdin.flush()

    def processes(self) -> list[int]:
        """The ids of the workers' processes."""
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.poll() is None]

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK):
            for slot in self._slots:
                with suppress(sqlite3.Error):  # a full disk: at the next look
                    self._look(slot)
        for slot in self._slots:
            self._end(slot)

    def _look(self, slot: _Slot) -> None:
        if slot.process is None:
            if time.monotonic() >= slot.next_start:
                self._start(slot)
        elif slot.process.poll() is not None:
            self._buried(slot, _how(slot.process.returncode))
        elif reason := self._overdue(slot):
            slot.process.kill()
            slot.process.wait()
            self._buried(slot, reason)

    def _overdue(self, slot: _Slot) -> str:
        """Why a worker is to be killed, "" if it is not."""
        now = time.time()
        for task in self.store.in_progress():
            if task.worker == slot.name:
                if task.lease is not None and now > task.lease:
                    return "its worker stopped answering"
                if task.started is not None and now > task.started + self.options.deadline + GRACE:
                    return "its worker overran the deadline"
        return ""

    def _start(self, slot: _Slot) -> None:
        slot.name, slot.ready, slot.started = secrets.token_hex(8), False, time.monotonic()
        options = replace(self.options, name=slot.name)
        slot.process = start_child([*COMMAND, options.to_json()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, **slot.environment})
        assert slot.process.stdout is not None and slot.process.stderr is not None
        threading.Thread(target=self._hear, args=(slot, slot.process.stdout), daemon=True).start()
        threading.Thread(target=_note, args=(slot, slot.process.stderr), daemon=True).start()

    def _hear(self, slot: _Slot, stream: IO[bytes]) -> None:
        for line in stream:
            if not line.strip():
                slot.ready, slot.failures = True, 0
            self.on_change(line.decode("ascii", "replace").strip())
        stream.close()

    def _buried(self, slot: _Slot, reason: str) -> None:
        """A worker has ended: its task is pending again, and another one starts, the later the oftener they fail."""
        if not slot.ready:
            slot.failures += 1
        slot.ready = False
        ids = self.store.give_back(slot.name, reason)  # first: if this fails it is tried again
        if slot.process is not None and slot.process.stdin is not None:
            with suppress(OSError):
                slot.process.stdin.close()
        slot.process = None
        slot.next_start = time.monotonic() + (min(SHORTEST_PAUSE * 2**slot.failures, LONGEST_PAUSE) if slot.failures else 0.0)
        self.restarts += 1
        for id in (*ids, ""):
            self.on_change(id)
        self.wake()

    def _end(self, slot: _Slot) -> None:
        process = slot.process
        if process is None:
            return
        slot.ready = False
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()  # which ends the worker
        try:
            process.wait(TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(sqlite3.Error):  # the next server does it
            self.store.give_back(slot.name, "the server was stopped meanwhile", failure=False)


def _note(slot: _Slot, stream: IO[bytes]) -> None:
    """Pass on what a worker says, and keep its last line."""
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        slot.last_words[:] = [text]
        print(f"worker: {text}", file=sys.stderr, flush=True)
    stream.close()


def _how(code: int) -> str:
    """Why a worker has ended, from its exit code."""
    if code == LOST:
        return "its worker lost the GPU"
    if code >= 0:
        return f"its worker ended (exit code {code})"
    try:
        return f"its worker ended (signal {signal.Signals(-code).name})"
    except ValueError:
        return f"its worker ended (signal {-code})"

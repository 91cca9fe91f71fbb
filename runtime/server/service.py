"""What a server does, without HTTP: takes tasks in, keeps workers running, and forgets old results."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ...engines.errors import OutputError
from ...engines.files.file_set import write_files
from ..pack.pack import Pack
from .folder import DataFolder, size_of
from .problems import Problem
from .store import Task, TaskStore, new_id
from .streams import Hub
from .submission import Submission
from .supervisor import Supervisor
from .worker import WorkerOptions

# Seconds between two looks for what is too old.
SWEEP = 60.0
FULL = 507


@dataclass(frozen=True)
class ServiceOptions:
    """worker : options of every worker; its name is made later

    environments : of the workers' processes, one for each
    max_queue : tasks that may wait; keep_seconds, keep_bytes : results are deleted once they are older, or once all are larger
    """

    worker: WorkerOptions
    environments: tuple[Mapping[str, str], ...] = ({},)
    max_queue: int = 100
    keep_seconds: float = 7 * 86400.0
    keep_bytes: int = 10 << 30


class Service:
    """One server's queue, workers and results, from `start` to `stop`."""

    def __init__(self, folder: DataFolder, options: ServiceOptions) -> None:
        self.folder, self.options = folder, options
        self.packs: Sequence[str] = options.worker.packs
        self.store = TaskStore(folder.database, durable=True)
        self.hub = Hub()
        self.supervisor = Supervisor(folder, TaskStore(folder.database), options.worker, options.environments, self.hub.wake)
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_again, name="meshwright-sweeper")

    def start(self) -> None:
        """Called within the loop that serves."""
        self.hub.start()
        self.supervisor.start()
        self._sweeper.start()

    def stop(self) -> None:
        """End the workers; what they were doing is pending again."""
        self._stopping.set()
        self.hub.close()
        self.supervisor.stop()
        self._sweeper.join()
        self.supervisor.store.close()
        self.store.close()

    def submit(self, submission: Submission, key: str | None) -> tuple[Task, bool]:
        """Accept a task: its files are on the disk before it is in the queue. Gives it, and whether it is new.

        QueueFull, KeyReused; Problem if the disk is full
        """
        id = new_id()
        folder = self.folder.input(id)
        if self.folder.free_bytes() < self.options.worker.min_free + sum(map(len, submission.files.values())):
            raise Problem(FULL, "the disk is full", "delete tasks, or start the server with another --data folder")
        try:
            if submission.files:
                folder.mkdir(parents=True)
                write_files({folder / name: data for name, data in submission.files.items()})
            task, new = self.store.submit(submission.request, submission.fingerprint, key=key, limit=self.options.max_queue, id=id)
        except OutputError as error:
            self.folder.delete(id)
            raise Problem(FULL, "the task's files cannot be written", "the disk may be full") from error
        except BaseException:
            self.folder.delete(id)
            raise
        if new:
            self.supervisor.wake()
        else:
            self.folder.delete(id)
        return task, new

    def cancel(self, id: str) -> Task | None:
        """The task as it is once it was told; None if there is none."""
        task = self.store.cancel(id)
        self.supervisor.wake()
        self.hub.wake(id)
        self.hub.wake("")
        return task

    def delete(self, id: str) -> bool:
        """Forget a task that has ended, with its files. False if it has not."""
        gone = self.store.delete(id)
        if gone:
            self.folder.delete(id)
        return gone

    def sweep(self) -> None:
        """Delete what is too old or too much, and folders of no task."""
        for id in self.folder.ids():
            if self.store.get(id) is None and self._is_old(id):
                self.folder.delete(id)
        ended = self.store.ended()
        sizes = {task.id: size_of(self.folder.task(task.id)) for task in ended}
        total = sum(sizes.values())
        for task in ended:
            if total > self.options.keep_bytes or time.time() - (task.ended or 0.0) > self.options.keep_seconds:
                total -= sizes[task.id]
                self.delete(task.id)

    def describe_packs(self) -> list[dict[str, Any]]:
        """Name, recipes and licence of each pack."""
        manifests = [(name, Pack.open(name, verify=False).manifest) for name in self.packs]
        return [{"name": name, "version": manifest.version, "license": asdict(manifest.license)} for name, manifest in manifests]

    def _is_old(self, id: str) -> bool:
        """Whether a folder without a task cannot be one that is being accepted."""
        with suppress(OSError):
            return time.time() - os.stat(self.folder.task(id)).st_mtime > SWEEP
        return False

    def _sweep_again(self) -> None:
        while True:
            with suppress(sqlite3.Error, OSError):
                self.sweep()
            if self._stopping.wait(SWEEP):
                return

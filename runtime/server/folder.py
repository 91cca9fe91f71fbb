"""Where a server keeps things: its queue, and a folder for each task.

    DATA/tasks.sqlite         the queue
    DATA/lock                 held by the server that uses DATA
    DATA/tasks/ID/input/      what came with the request
    DATA/tasks/ID/1/          what the first attempt made, and so on: what a worker that was given up still writes is never mixed in

All names below a task are ours.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

ID = re.compile(r"[0-9a-f]{32}\Z")
# The folders of an absolute path, of any system.
FOLDERS = re.compile(r"""(?<![\w.:/\\])(?:[A-Za-z]:)?[/\\](?:[^/\\\s:'"()]+[/\\])+""")


@dataclass(frozen=True)
class DataFolder:
    """root : exists"""

    root: Path

    @property
    def database(self) -> Path:
        """The queue's file."""
        return self.root / "tasks.sqlite"

    @property
    def lock(self) -> Path:
        """The file that a running server holds the lock of."""
        return self.root / "lock"

    def task(self, id: str) -> Path:
        """A task's folder. ValueError unless it is an id as the server makes them."""
        if not ID.match(id):
            raise ValueError("no id of a task")
        return self.root / "tasks" / id

    def input(self, id: str) -> Path:
        """The folder of what came with a task."""
        return self.task(id) / "input"

    def output(self, id: str, attempt: int) -> Path:
        """The folder of what an attempt made."""
        return self.task(id) / str(attempt)

    def delete(self, id: str) -> None:
        """Take a task's files away."""
        shutil.rmtree(self.task(id), ignore_errors=True)

    def ids(self) -> list[str]:
        """The tasks that have folders."""
        try:
            return [name for name in os.listdir(self.root / "tasks") if ID.match(name)]
        except FileNotFoundError:
            return []

    def free_bytes(self) -> int:
        """Of the disk that it lies on."""
        return shutil.disk_usage(self.root).free


def without_folders(text: str) -> str:
    """A message for clients, which need not know where this machine keeps things: of paths the last parts are left."""
    return FOLDERS.sub("", text)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, 0 if there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

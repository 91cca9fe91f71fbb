"""The tasks of a server, in one SQLite file: each is accepted once, run by one worker at a time, and ends once.

The server and its workers share the file and nothing else. A worker claims the oldest pending task under a lease, which it renews;
what it writes counts only while the task is its own, so a worker that was given up cannot write into what another one has taken over.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PENDING, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED = STATES = ("PENDING", "IN_PROGRESS", "SUCCEEDED", "FAILED", "CANCELED")
ENDED = (SUCCEEDED, FAILED, CANCELED)
# A task whose worker died runs once more. One that a stopping server interrupted does so more often, but not for ever.
MAX_FAILURES, MAX_ATTEMPTS = 2, 10
# Seconds that a statement waits for another process's.
BUSY = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, request TEXT NOT NULL, fingerprint TEXT NOT NULL,
    idempotency_key TEXT UNIQUE, state TEXT NOT NULL DEFAULT 'PENDING', progress INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, ended REAL, lease REAL,
    worker TEXT, error TEXT, files TEXT NOT NULL DEFAULT '{}', timings TEXT NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (state, number);
CREATE TABLE IF NOT EXISTS events (
    task TEXT NOT NULL, id INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (task, id)) WITHOUT ROWID;
"""


class QueueFull(Exception):
    """As many tasks are waiting as the server takes."""


class KeyReused(Exception):
    """The idempotency key came with another request before."""


@dataclass(frozen=True)
class Task:
    """One row. Times are seconds since 1970.

    number : grows with each task; id : 32 hexadecimal digits; request : as it was accepted, with names of files in place of pictures
    progress : 0 to 100; files : bytes of each file that can be fetched; timings : seconds of each stage
    error : why it failed
    """

    number: int
    id: str
    request: Mapping[str, Any]
    state: str
    progress: int
    attempts: int
    cancel: bool
    created: float
    started: float | None
    ended: float | None
    lease: float | None
    worker: str | None
    error: str | None
    files: Mapping[str, int]
    timings: Mapping[str, float]


@dataclass(frozen=True)
class TaskEvent:
    """id : from 1, of one task; type : "stage", "step", "notice", "file", or the last one, "end"; data : JSON"""

    id: int
    type: str
    data: str


class TaskStore:
    """The tasks in the file `path`, which is made where there is none. For any thread.

    durable : what was committed survives a loss of power too, not only the end of the process
    sqlite3.Error where the file cannot be read or written, such as on a full disk; the statement has then changed nothing.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self._connection, self._reader = _opened(path), _opened(path)
        self._lock, self._reading_lock = threading.Lock(), threading.Lock()
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._reading_lock:
            self._reader.close()
            self._connection.close()

    def submit(self, request: Mapping[str, Any], fingerprint: str, *, key: str | None, limit: int,
               id: str | None = None) -> tuple[Task, bool]:
        """Accept a task, or find the one that the same key brought before. Gives it, and whether it is new.

        fingerprint : equal for equal requests
        Raises QueueFull if `limit` tasks are pending, KeyReused if the key belongs to a request with another fingerprint.
        """
        with self._changing() as run:
            if key is not None:
                row = run("SELECT * FROM tasks WHERE idempotency_key = ?", (key,)).fetchone()
                if row is not None:
                    if row["fingerprint"] != fingerprint:
                        raise KeyReused
                    return _task(row), False
            if run("SELECT count(*) FROM tasks WHERE state = 'PENDING'").fetchone()[0] >= limit:
                raise QueueFull
            row = run("INSERT INTO tasks (id, request, fingerprint, idempotency_key, created) VALUES (?, ?, ?, ?, ?) RETURNING *",
                      (id or new_id(), json.dumps(request), fingerprint, key, time.time())).fetchone()
            return _task(row), True

    def claim(self, worker: str, lease: float) -> Task | None:
        """Take the oldest pending task for `lease` seconds; None if none is pending."""
        now = time.time()
        with self._changing() as run:
            row = run("UPDATE tasks SET state = 'IN_PROGRESS', attempts = attempts + 1, progress = 0, worker = ?, lease = ?, started = ?"
                      " WHERE number = (SELECT min(number) FROM tasks WHERE state = 'PENDING') RETURNING *",
                      (worker, now + lease, now)).fetchone()
            return None if row is None else _task(row)

    def renew(self, task: Task, lease: float) -> bool:
        """Keep a claimed task for `lease` more seconds. False if it is no longer this claim's, or is to be cancelled."""
        with self._changing() as run:
            row = run(f"UPDATE tasks SET lease = ? WHERE {OWN} RETURNING cancel", (time.time() + lease, *_claim(task))).fetchone()
            return row is not None and not row["cancel"]

    def record(self, task: Task, type: str, data: Mapping[str, Any], *, progress: int | None = None,
               file: tuple[str, int] | None = None) -> bool:
        """Add an event to a claimed task, and a file that can be fetched from now on. False, and nothing, if the claim is lost."""
        with self._changing() as run:
            row = run(f"UPDATE tasks SET progress = max(progress, ?) WHERE {OWN} RETURNING files",
                      (progress or 0, *_claim(task))).fetchone()
            if row is None:
                return False
            if file is not None:
                files = json.loads(row["files"]) | {file[0]: file[1]}
                run("UPDATE tasks SET files = ? WHERE id = ?", (json.dumps(files), task.id))
            _append(run, task.id, type, data)
            return True

    def end(self, task: Task, state: str, *, error: str | None = None, files: Mapping[str, int] | None = None,
            timings: Mapping[str, float] | None = None) -> bool:
        """End a claimed task, with its last event. False, and nothing, if the claim is lost."""
        with self._changing() as run:
            if run(f"SELECT 1 FROM tasks WHERE {OWN}", _claim(task)).fetchone() is None:
                return False
            _end(run, task.id, state, error, files or {}, timings or {})
            return True

    def give_back(self, worker: str, reason: str, *, failure: bool = True) -> list[str]:
        """Make what a worker that has ended was doing pending again, once; then it fails. Gives the ids.

        A task that was to be cancelled is cancelled.
        reason : why the worker ended; failure : False where the task cannot have been the cause
        """
        with self._changing() as run:
            rows = run("SELECT * FROM tasks WHERE state = 'IN_PROGRESS' AND worker = ?", (worker,)).fetchall()
            for row in rows:
                _give_back(run, _task(row), reason, row["failures"] + failure)
            return [row["id"] for row in rows]

    def give_back_all(self, reason: str) -> None:
        """`give_back` for every worker: when a server starts there are none. None of the tasks is to blame."""
        with self._reading() as run:
            workers = [row[0] for row in run("SELECT DISTINCT worker FROM tasks WHERE state = 'IN_PROGRESS'")]
        for worker in workers:
            self.give_back(worker, reason, failure=False)

    def fail(self, id: str, error: str) -> bool:
        """End a task that is not claimed by anyone living. False if it has ended already."""
        with self._changing() as run:
            row = run("SELECT * FROM tasks WHERE id = ? AND state IN ('PENDING', 'IN_PROGRESS')", (id,)).fetchone()
            if row is not None:
                _end(run, id, FAILED, error, {}, {})
            return row is not None

    def cancel(self, id: str) -> Task | None:
        """A pending task ends; one in progress is told to. Gives the task as it is afterwards, None if there is none."""
        with self._changing() as run:
            run("UPDATE tasks SET cancel = 1 WHERE id = ? AND state = 'IN_PROGRESS'", (id,))
            if run("SELECT 1 FROM tasks WHERE id = ? AND state = 'PENDING'", (id,)).fetchone() is not None:
                _end(run, id, CANCELED, None, {}, {})
        return self.get(id)

    def delete(self, id: str) -> bool:
        """Forget a task that has ended. False if it has not, or if there is none."""
        with self._changing() as run:
            gone = run("DELETE FROM tasks WHERE id = ? AND state IN ('SUCCEEDED', 'FAILED', 'CANCELED') RETURNING id", (id,)).fetchone()
            if gone is not None:
                run("DELETE FROM events WHERE task = ?", (id,))
            return gone is not None

    def get(self, id: str) -> Task | None:
        """The task of that id."""
        with self._reading() as run:
            row = run("SELECT * FROM tasks WHERE id = ?", (id,)).fetchone()
        return None if row is None else _task(row)

    def newest(self, *, state: str | None = None, before: int | None = None, limit: int = 50) -> list[Task]:
        """Tasks, the newest first: of one state, and with numbers below `before`, where these are given."""
        with self._reading() as run:
            rows = run("SELECT * FROM tasks WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3",
                       (state, before, limit)).fetchall()
        return [_task(row) for row in rows]

    def events(self, id: str, after: int = 0) -> list[TaskEvent]:
        """The events of a task behind the one of id `after`, in their order."""
        with self._reading() as run:
            rows = run("SELECT id, type, data FROM events WHERE task = ? AND id > ? ORDER BY id", (id, after)).fetchall()
        return [TaskEvent(*row) for row in rows]

    def stage(self, id: str) -> str | None:
        """The stage that a task was in at last."""
        with self._reading() as run:
            row = run("SELECT data FROM events WHERE task = ? AND type = 'stage' ORDER BY id DESC LIMIT 1", (id,)).fetchone()
        return None if row is None else str(json.loads(row["data"])["stage"])

    def position(self, task: Task) -> int:
        """How many tasks run or wait before a pending one."""
        with self._reading() as run:
            row = run("SELECT count(*) FROM tasks WHERE state = 'IN_PROGRESS' OR (state = 'PENDING' AND number < ?)",
                      (task.number,)).fetchone()
        return int(row[0])

    def counts(self) -> dict[str, int]:
        """The number of tasks in each state."""
        with self._reading() as run:
            rows = run("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        return dict.fromkeys(STATES, 0) | dict(map(tuple, rows))

    def in_progress(self) -> list[Task]:
        """The tasks that workers have claimed."""
        with self._reading() as run:
            return [_task(row) for row in run("SELECT * FROM tasks WHERE state = 'IN_PROGRESS'").fetchall()]

    def ended(self, last: int = -1) -> list[Task]:
        """The tasks that have ended, the one first that ended first; the `last` ones alone, unless that is negative."""
        with self._reading() as run:
            rows = run("SELECT * FROM tasks WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ?", (last,)).fetchall()
        return [_task(row) for row in reversed(rows)]

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """Statements that change nothing. They wait for no other process, and for no thread that waits for one."""
        with self._reading_lock:
            yield self._reader.execute

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """A transaction, alone among all processes; undone if the block raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


# The row of a claim: the worker's, and no later attempt.
OWN = "id = ? AND state = 'IN_PROGRESS' AND worker = ? AND attempts = ?"


def new_id() -> str:
    """32 random hexadecimal digits."""
    return secrets.token_hex(16)


def _claim(task: Task) -> tuple[object, ...]:
    return task.id, task.worker, task.attempts


def _append(run: Any, id: str, type: str, data: Mapping[str, Any]) -> None:
    run("INSERT INTO events (task, id, type, data) VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM events WHERE task = ?1), ?2, ?3)",
        (id, type, json.dumps(data)))


def _end(run: Any, id: str, state: str, error: str | None, files: Mapping[str, int], timings: Mapping[str, float]) -> None:
    row = run("UPDATE tasks SET state = ?, error = ?, ended = ?, worker = NULL, lease = NULL, timings = ?,"
              " progress = CASE ? WHEN 'SUCCEEDED' THEN 100 ELSE progress END WHERE id = ? RETURNING files",
              (state, error, time.time(), json.dumps(timings), state, id)).fetchone()
    run("UPDATE tasks SET files = ? WHERE id = ?", (json.dumps(json.loads(row["files"]) | files), id))
    _append(run, id, "end", {"state": state, "error": error})


def _give_back(run: Any, task: Task, reason: str, failures: int) -> None:
    if task.cancel:
        _end(run, task.id, CANCELED, None, {}, {})
    elif failures >= MAX_FAILURES or task.attempts >= MAX_ATTEMPTS:
        _end(run, task.id, FAILED, f"{reason}, at attempt {task.attempts}", {}, {})
    else:
        run("UPDATE tasks SET state = 'PENDING', failures = ?, worker = NULL, lease = NULL, started = NULL, progress = 0, files = '{}'"
            " WHERE id = ?", (failures, task.id))
        _append(run, task.id, "notice", {"message": f"{reason}; the task runs once more"})


def _task(row: sqlite3.Row) -> Task:
    fields = {name: row[name] for name in row.keys() if name not in ("fingerprint", "idempotency_key", "failures")}
    return Task(**fields | {name: json.loads(fields[name]) for name in ("request", "files", "timings")} | {"cancel": bool(row["cancel"])})

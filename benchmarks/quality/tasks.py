"""Runs measurements one by one in worker processes, and keeps each record in a file, so that a stopped run goes on.

A task is a kind and an index; its record is `KIND-INDEX.json` in a folder that is named after the pack's hash. A task
whose file exists is not run again. Two runs at once on one folder do no harm: a file appears whole or not at all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from meshwright.engines.errors import MeshwrightError
from meshwright.engines.machine.parent import end_with_parent

from ..harness.results import write_whole
from . import sheet
from .generation import measure_picture, measure_prompt, measure_steered, photo_of
from .prompts import held_out, paraphrases
from .refinement import measure_object, measure_refinement
from .workbench import Setup, Workbench

KINDS = ("object", "refine", "prompt", "paraphrase")
PICTURE_KINDS = ("picture", "steered")


@dataclass(frozen=True, order=True)
class Task:
    """One measurement. kind : one of KINDS or PICTURE_KINDS; index : from 0."""

    kind: str
    index: int

    def file(self, folder: Path) -> Path:
        return folder / f"{self.kind}-{self.index:04}.json"


_bench: Workbench | None = None


def run(setup: Setup, folder: Path, tasks: list[Task], jobs: int, stop_after: float) -> None:
    """Make the missing records. stop_after : seconds after which no further task is begun."""
    folder.mkdir(parents=True, exist_ok=True)
    missing, deadline = [task for task in tasks if not task.file(folder).exists()], time.time() + stop_after
    for done, task in enumerate(_finished(setup, folder, missing, jobs, deadline), 1):
        print(f"{done}/{len(missing)} {task.kind} {task.index}", file=sys.stderr, flush=True)


def records(folder: Path, kind: str, count: int) -> list[dict]:
    """The records there are of tasks 0 to count - 1 of a kind, in order."""
    files = [Task(kind, index).file(folder) for index in range(count)]
    return [json.loads(file.read_text("utf-8")) for file in files if file.exists()]


def _finished(setup: Setup, folder: Path, tasks: list[Task], jobs: int, deadline: float) -> Iterator[Task]:
    if jobs == 1 or len(tasks) < 2:
        _open(setup)
        yield from (task for task in tasks if _measure(task, folder, deadline))
        return
    # Fork would copy threads that numerical libraries have started.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(setup,)) as pool:
        waiting = {pool.submit(_measure, task, folder, deadline): task for task in tasks}
        for future in as_completed(waiting):
            if future.result():
                yield waiting[future]


def _start(setup: Setup) -> None:
    end_with_parent(multiprocessing.parent_process().pid)
    _open(setup)


def _open(setup: Setup) -> None:
    global _bench
    os.environ.setdefault("OMP_NUM_THREADS", str(setup.threads))
    import numba

    numba.set_num_threads(min(setup.threads, numba.config.NUMBA_NUM_THREADS))
    _bench = Workbench(setup)


def _measure(task: Task, folder: Path, deadline: float) -> bool:
    if time.time() > deadline:
        return False
    began = time.perf_counter()
    try:
        record = _record(_bench, task, folder)
    except MeshwrightError as error:
        # An object that cannot be made is a result, and counts as wrong everywhere.
        record = {"error": f"{task.kind} {task.index}: {error}"}
    record |= {"index": task.index, "seconds": round(time.perf_counter() - began, 2)}
    write_whole(task.file(folder), json.dumps(record))
    return True


def _pictured(bench: Workbench, index: int, folder: Path) -> dict:
    try:
        record, photo, made = measure_picture(bench, index)
    except MeshwrightError as error:
        if index < sheet.ROWS:
            sheet.save_refused_row(folder, index, photo_of(index), str(error))
        raise
    if index < sheet.ROWS:
        sheet.save_picture_row(folder, index, photo, made)
    return record


def _record(bench: Workbench, task: Task, folder: Path) -> dict:
    if task.kind == "object":
        return measure_object(bench, task.index)
    if task.kind == "refine":
        return measure_refinement(bench, task.index)
    if task.kind == "paraphrase":
        return measure_prompt(bench, paraphrases()[task.index], task.index)[0]
    if task.kind == "steered":
        return measure_steered(bench, task.index)
    if task.kind == "picture":
        return _pictured(bench, task.index, folder)
    record, made = measure_prompt(bench, held_out(task.index + 1)[-1], task.index)
    if task.index < sheet.SHEETS * sheet.ROWS:
        sheet.save_row(folder, task.index, record["prompt"], made)
    return record

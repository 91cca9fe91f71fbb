"""Runs a batch: workers make the meshes, this process alone writes them."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ...engines.errors import BackendError, InputError, MeshwrightError, OutputError
from ...engines.files.file_set import write_files
from ...engines.files.lock import locked
from ..files.gltf.writer import png_bytes
from ..files.overwriting import check_not_read
from ..files.writer import check_output
from ..pack.pack import Pack
from .lines import Line
from .manifest import FAILED, MADE, MANIFEST, SHEET, Manifest
from .pictures import contact_sheet
from .worker import READY, BatchSettings, Result, entry_of, work

LOCK = ".meshwright-batch.lock"
MAX_JOBS = 64
# A line whose worker dies is tried once more, by another one.
MAX_DEATHS = 2
# Not a fork: threads of the caller, and of ONNX Runtime, would be lost in it.
CONTEXT = multiprocessing.get_context("spawn")
Work = tuple[Line, str]  # a line, and the hash of its request


@dataclass(frozen=True)
class BatchResult:
    """The names of the lines that were made, that had been made before, and that failed."""

    made: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


def run_batch(lines: Sequence[Line], folder: str | os.PathLike[str], settings: BatchSettings, *, jobs: int = 1,
              on_result: Callable[[dict[str, Any], int], None] = lambda entry, left: None) -> BatchResult:
    """Make all lines that `folder`, which may be new, does not have yet.

    Of each line: NAME.glb, or what the settings say, NAME.png from front and back, NAME.gif on request. `manifest.jsonl` has one line
    for each, and `contact_sheet.png` shows all. Whenever this process, or another one of the batch, is killed, the manifest agrees
    with the files, and the next run goes on. Made again is: what failed, a line whose request or picture has changed, and one whose
    files are gone. Results of lines that are not in the list any more stay.
    jobs : processes, 1 to 64, each with the pack's models
    on_result : called with each new line of the manifest, once its files are there, and with how many lines are left; what it raises
        ends the batch
    A line that cannot be made is one that failed; the others go on. Errors: InputError, PackError, BackendUnavailable before anything
    is made; OutputError, also for a file of the folder that would be overwritten and is not of this batch.
    """
    if not 1 <= jobs <= MAX_JOBS:
        raise InputError("jobs is out of range", received=str(jobs), expected=f"an integer, 1 to {MAX_JOBS}")
    pack = Pack.open(settings.pack)
    if not settings.engine.get("trust"):
        pack.require_trust()
    folder = Path(folder)
    _check_names(lines, settings)
    try:
        hashes = {line.name: settings.request_hash(line, pack.hash) for line in lines}
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read", received=error.strerror) from error
    with _alone(folder):
        manifest = Manifest(folder)
        waiting = [(line, hashes[line.name]) for line in lines if not manifest.is_made(line.name, hashes[line.name])]
        _check_targets(waiting, manifest, settings)
        states: dict[str, str] = {}
        for entry, files in _results(waiting, settings, jobs):
            written = manifest.add(entry, files)
            states[written["name"]] = written["state"]
            on_result(written, len(waiting) - len(states))
        if previews := [folder / f"{name}.png" for name in manifest.made()]:
            write_files({folder / SHEET: png_bytes(contact_sheet([path for path in previews if path.is_file()]))})
    return BatchResult(*(tuple(line.name for line in lines if states.get(line.name) == state) for state in (MADE, None, FAILED)))


def _check_names(lines: Sequence[Line], settings: BatchSettings) -> None:
    """No file is written twice, also where letter case does not count."""
    taken = {MANIFEST: "the manifest", SHEET: "the contact sheet"}
    for line in lines:
        for file in settings.files_of(line):
            if file.casefold() in taken:
                raise InputError(f"{file} of line {line.number} would be written twice", received=f"{taken[file.casefold()]} has that name",
                                 remedy="give the line another name")
            taken[file.casefold()] = f"line {line.number}"


def _check_targets(waiting: Sequence[Work], manifest: Manifest, settings: BatchSettings) -> None:
    """OutputError before the work, where a file could not be written after it."""
    targets = [file for line, _ in waiting for file in settings.files_of(line)]
    if waiting:
        check_output(manifest.folder / targets[0])
    manifest.check_free([*targets, SHEET])
    there = [path for file in (*targets, MANIFEST, SHEET) if (path := manifest.folder / file).exists()]
    options = [settings.options_of(line) for line, _ in waiting]
    check_not_read(there, {Path(each[name]) for each in options for name in ("image", "matte", "control") if name in each})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """This process is the only one that works in the folder, which is made."""

    def refuse(holder: str) -> None:
        raise OutputError(f"another batch works in {folder}", received=holder, remedy="wait for it, or choose another folder")

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{folder} cannot be written", received=error.strerror, expected="a folder, or a new name") from error

    with told():
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, refuse, translated=told):
        yield


class _Worker:
    """A process, and what it is at."""

    def __init__(self, settings: BatchSettings) -> None:
        self.connection: Connection
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=work, args=(theirs, settings, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.task: Work | None = None

    def end(self) -> None:
        """At once: it writes nothing that could be left half done."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _results(waiting: Sequence[Work], settings: BatchSettings, jobs: int) -> Iterator[Result]:
    """The results, as they come. A worker that dies is replaced."""
    if settings.engine.get("threads") is None and jobs > 1:
        settings = replace(settings, engine={**settings.engine, "threads": max(1, (os.cpu_count() or 1) // jobs)})
    tasks, deaths, workers = deque(waiting), dict[str, int](), list[_Worker]()
    left = len(tasks)
    try:
        while left:
            while len(workers) < min(jobs, left):
                workers.append(_Worker(settings))
            for connection in wait([worker.connection for worker in workers]):
                worker = next(each for each in workers if each.connection is connection)
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    worker.end()
                    answer = _died(worker, tasks, deaths)
                if isinstance(answer, MeshwrightError):
                    raise answer
                if isinstance(answer, tuple):
                    worker.task = None
                    left -= 1
                    yield answer
                worker.ready = True
            for worker in workers:
                if worker.ready and worker.task is None and tasks:
                    worker.task = tasks.popleft()
                    with suppress(OSError):  # it is dead, as its end of the connection will tell
                        worker.connection.send(worker.task)
    finally:
        for worker in workers:
            worker.end()


def _died(worker: _Worker, tasks: deque[Work], deaths: dict[str, int]) -> Result | MeshwrightError | str:
    """What becomes of the line that a dead worker was at: it comes next, or has failed."""
    code = worker.process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    if not worker.ready:
        return BackendError("a process of the batch ended while it opened the pack", received=how)
    if worker.task is None:
        return READY
    line, request = worker.task
    deaths[line.name] = deaths.get(line.name, 0) + 1
    if deaths[line.name] < MAX_DEATHS:
        tasks.appendleft(worker.task)
        return READY
    return {**entry_of(line), "request": request, "state": FAILED, "error": f"its process ended twice ({how})"}, {}

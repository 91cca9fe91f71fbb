"""Runs a batch: workers make the meshes, wherever they are; this process alone writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engines.errors import InputError, OutputError
from ...engines.files.file_set import write_files
from ...engines.files.lock import locked
from ..files.gltf.encoding import png_bytes
from ..files.overwriting import check_not_read
from ..files.writer import check_output
from ..pack.pack import Pack
from .crew import Workers, results
from .lines import Line
from .manifest import FAILED, MADE, MANIFEST, SHEET, Manifest
from .pictures import contact_sheet
from .processes import Processes
from .worker import BatchSettings, Work

LOCK = ".meshwright-batch.lock"
MAX_JOBS, MAX_SECONDS = 1024, 30 * 86400.0
TIMEOUT = 3600.0


@dataclass(frozen=True)
class BatchResult:
    """The names of the lines that were made, that had been made before, and that failed."""

    made: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]


def run_batch(lines: Sequence[Line], folder: str | os.PathLike[str], settings: BatchSettings, *, jobs: int | None = None,
              timeout: float = TIMEOUT, ray: str | None = None,
              on_result: Callable[[dict[str, Any], int], None] = lambda entry, left: None) -> BatchResult:
    """Make all lines that `folder`, which may be new, does not have yet.

    Of each line: NAME.glb, or what the settings say, NAME.png from front and back, NAME.gif on request. `manifest.jsonl` has one line
    for each, and `contact_sheet.png` shows all. Whenever this process, or another one of the batch, is killed, the manifest agrees
    with the files, and the next run goes on. Made again is: what failed, a line whose request or picture has changed, and one whose
    files are gone. Results of lines that are not in the list any more stay.
    jobs : processes, 1 to 1024, each with the pack's models. None: one for each GPU of this machine, or one; with Ray, as many as there is
        room for
    timeout : seconds that a line may take, at most 30 days, before its process is ended
    ray : the address of a Ray cluster whose nodes make the meshes, or "local" for one that is started for this batch (`ray_actors`)
    on_result : called with each new line of the manifest, once its files are there, and with how many lines are left; what it raises
        ends the batch
    A line that cannot be made is one that failed, as is one that loses two processes: they end, hang, or their machine is gone. The
    others go on. Errors: InputError, PackError, BackendUnavailable before anything
    is made; OutputError, also for a file of the folder that would be overwritten and is not of this batch.
    """
    if jobs is not None and not 1 <= jobs <= MAX_JOBS:
        raise InputError("jobs is out of range", received=str(jobs), expected=f"an integer, 1 to {MAX_JOBS}")
    if not 0 < timeout <= MAX_SECONDS:
        raise InputError("timeout is out of range", received=str(timeout), expected=f"seconds, above 0 and at most {MAX_SECONDS:.0f}")
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
        if waiting:
            with _workers(settings, pack, jobs, ray) as workers:
                for entry, files in results(waiting, workers, timeout):
                    written = manifest.add(entry, files)
                    states[written["name"]] = written["state"]
                    on_result(written, len(waiting) - len(states))
        if previews := [folder / f"{name}.png" for name in manifest.made()]:
            write_files({folder / SHEET: png_bytes(contact_sheet([path for path in previews if path.is_file()]))})
    return BatchResult(*(tuple(line.name for line in lines if states.get(line.name) == state) for state in (MADE, None, FAILED)))


def _workers(settings: BatchSettings, pack: Pack, jobs: int | None, ray: str | None) -> AbstractContextManager[Workers[Any]]:
    """Those of this machine, or of a cluster."""
    if ray is None:
        return nullcontext(Processes(settings, jobs))
    from .ray_actors import ray_actors

    return ray_actors(ray, settings, pack, jobs)


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

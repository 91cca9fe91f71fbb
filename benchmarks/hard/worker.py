"""The process in which the cases of one kind run, and what watches it: crashes, hangs, memory and foreign exceptions are told."""

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from benchmarks.hard.kinds import Kind, Lost
from meshwright.engines.machine.memory import peak_bytes, reset_peak

# Address space of a worker, so that a case which fills the memory fails itself and not the machine.
MAX_ADDRESSES = 24 << 30
MAX_TOLD = 40
STARTING = 180.0


@dataclass
class Tally:
    """What came of the cases of one kind, over all runs. failures : (number of the case, what happened)"""

    cases: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    foreign: int = 0
    crashes: int = 0
    hangs: int = 0
    lost: int = 0
    slowest_seconds: float = 0.0
    largest_mib: float = 0.0
    seconds: float = 0.0
    failures: list[tuple[int, str]] = field(default_factory=list)

    def note(self, number: int, outcome: str, seconds: float, mib: float, problem: str | None) -> None:
        self.cases += 1
        self.slowest_seconds = round(max(self.slowest_seconds, seconds), 3)
        self.largest_mib = round(max(self.largest_mib, mib), 1)
        if outcome in ("foreign", "crashes", "hangs", "lost"):
            setattr(self, outcome, getattr(self, outcome) + 1)
            if len(self.failures) < MAX_TOLD:
                self.failures.append((number, f"{outcome}: {problem}"))
        else:
            self.outcomes = dict(sorted(Counter({**self.outcomes, outcome: self.outcomes.get(outcome, 0) + 1}).items()))

    def plain(self) -> dict[str, object]:
        return asdict(self)


def run(kind: type[Kind], tally: Tally, *, seed: int, first: int, count: int, until: float) -> int:
    """Run cases from number `first` on, at most `count` and until the time `until` (time.monotonic). The number of the next one."""
    number, end = first, first + count
    while number < end and time.monotonic() < until:
        number = _session(kind, tally, seed, number, end, until)
    return number


def _session(kind: type[Kind], tally: Tally, seed: int, number: int, end: int, until: float) -> int:
    """Cases in one worker, until one of them ends it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    folder = tempfile.mkdtemp(prefix=f"hard-{kind.name}-")
    worker = context.Process(target=serve, args=(kind, folder, seed, there))
    worker.start()
    there.close()
    try:
        _wait_ready(here, kind)
        while number < end and time.monotonic() < until:
            started = time.monotonic()
            here.send(number)
            if not here.poll(kind.limit):
                tally.note(number, "hangs", kind.limit, 0.0, f"more than {kind.limit:g} s")
                return number + 1
            tally.note(*here.recv())
            tally.seconds = round(tally.seconds + time.monotonic() - started, 3)
            number += 1
        return number
    except (EOFError, BrokenPipeError, ConnectionResetError):
        worker.join(10)
        tally.note(number, "crashes", 0.0, 0.0, f"the process ended with {worker.exitcode}")
        return number + 1
    finally:
        _end(worker, here)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_ready(here: Connection, kind: type[Kind]) -> None:
    """Raise RuntimeError where the worker cannot prepare its cases."""
    try:
        told = here.recv() if here.poll(STARTING) else "it took too long"
    except EOFError:
        told = "it ended"
    if told != "ready":
        raise RuntimeError(f"the worker of {kind.name} does not start: {told}")


def _end(worker: multiprocessing.Process, here: Connection) -> None:
    here.close()  # upon which the worker ends of itself, unless it hangs
    worker.join(5)
    if worker.is_alive():
        worker.kill()
        worker.join()


def serve(kind: type[Kind], folder: str, seed: int, told: Connection) -> None:
    """In the worker: one case for each number that comes."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESSES, MAX_ADDRESSES))
    os.environ |= own_environment(Path(folder))
    with open(os.devnull, "w") as nowhere:  # what libraries print in C about files that are broken
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    work = Path(folder, "work")
    work.mkdir()
    try:
        cases = kind(work)
    except Exception:
        told.send(traceback.format_exc())
        return
    told.send("ready")
    try:
        while True:
            number = told.recv()
            told.send((number, *one(cases, number, seed)))
    except EOFError:
        cases.close()


def one(cases: Kind, number: int, seed: int) -> tuple[str, float, float, str | None]:
    """Run one case: its outcome, seconds, MiB at its highest, and what was wrong."""
    reset_peak()
    started, problem = time.perf_counter(), None
    try:
        outcome = cases.case(number, Random(f"{seed} {cases.name} {number}"))
    except Lost as error:
        outcome, problem = "lost", str(error)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
        outcome, problem = "foreign", f"{type(error).__name__}: {str(error)[:200]} ({place})"
    return outcome, time.perf_counter() - started, (peak_bytes() or 0) / (1 << 20), problem


def own_environment(folder: Path) -> dict[str, str]:
    """A user's folders of a run's own, and one thread a process."""
    return {"MESHWRIGHT_CACHE": str(folder / "cache"), "MESHWRIGHT_CONFIG": str(folder / "config"), "MESHWRIGHT_PACKS": "",
            "MESHWRIGHT_TRUSTED": "", "OMP_NUM_THREADS": "1"}

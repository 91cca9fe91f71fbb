"""Kills of batches: of the process that writes, and of those that make the meshes."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from benchmarks.hard.kill_cases import LIVES_ON, check_nobody, kill, living
from benchmarks.hard.kinds import Kind, Lost
from tests.runtime import tiny_pack

LINES, KILLS = 8, 2
# Of the kills, so many come before the first mesh of the run is made.
EARLY = 0.25
OURS = {"manifest.jsonl", "contact_sheet.png", ".meshwright-batch.lock"}


class BatchKills(Kind):
    """`meshwright batch`, killed twice at any time and then run to its end; in every other case by two processes."""

    name, goal, limit = "batch kills", 20, 300.0
    said = ("kills of `meshwright batch` or of one of its processes at any time, two in a case: no line is lost or there twice, the"
            " manifest agrees with the files, no process lives on")

    def __init__(self, folder: Path) -> None:
        self.folder, self.list, self.pack = folder / "out", folder / "list.txt", tiny_pack.build(folder / "tiny")
        os.environ["MESHWRIGHT_TRUSTED"] = str(folder)
        self.list.write_text("a red chair\na blue table\n" * (LINES // 2))
        started = time.perf_counter()
        with self._start(1, said=True) as process:
            process.stderr.readline()
            self.first = time.perf_counter() - started
            if process.wait(self.limit) != 0:
                raise RuntimeError("the batch does not run")
        self.seconds = time.perf_counter() - started
        self.line = (self.seconds - self.first) / (LINES - 1)

    def case(self, number: int, rng: Random) -> str:
        shutil.rmtree(self.folder, ignore_errors=True)
        jobs, known, killed = 1 + number % 2, set[str](), 0
        for _ in range(KILLS):
            with self._start(jobs, said=True) as process:
                killed += self._killed(process, rng)
            found = self._agreeing()
            if not known <= found:
                raise Lost(f"lines that were made are gone: {', '.join(known - found)}")
            known = found
        self._end(jobs)
        return f"{killed} of {KILLS} killed in time"

    def _killed(self, process: subprocess.Popen, rng: Random) -> bool:
        """Kill it, or one of its processes, at a random moment; False if it ended before."""
        if rng.random() < EARLY:
            time.sleep(rng.uniform(0.0, self.first))
        else:
            process.stderr.readline()
            time.sleep(rng.uniform(0.0, 2 * self.line))
        if process.poll() is not None:
            return False
        if rng.random() < 1 / 3 and (workers := _workers(process)):
            os.kill(rng.choice(workers), signal.SIGKILL)
            if process.wait(self.limit) != 0:
                raise Lost("the batch failed when one of its processes was killed")
        else:
            kill(process)
            check_nobody(process.pid, max(LIVES_ON, self.seconds))  # one that just starts ends when it has
        return True

    def _end(self, jobs: int) -> None:
        """Run it to its end; then everything is there, and nothing else."""
        if (code := self._start(jobs).wait(self.limit)) != 0:
            raise Lost(f"the next batch ends with {code}")
        found = self._agreeing()
        named = {file["name"] for entry in _entries(self.folder) for file in entry["files"]}
        if len(found) != LINES or set(os.listdir(self.folder)) != OURS | named:
            raise Lost(f"{len(found)} of {LINES} lines, and the files {', '.join(sorted(os.listdir(self.folder)))}")

    def _agreeing(self) -> set[str]:
        """The lines of the manifest as they were left, before anything is mended: each once, with its files."""
        entries = _entries(self.folder)
        for file in (file for entry in entries for file in entry["files"]):
            path = self.folder / file["name"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
                raise Lost(f"{path.name} is not as the manifest says")
        names = {entry["name"] for entry in entries}
        if len(names) != len(entries) or any(entry["state"] != "made" for entry in entries):
            raise Lost("a line is there twice, or has failed")
        return names

    def _start(self, jobs: int, said: bool = False) -> subprocess.Popen:
        """said : what it says of each line is read"""
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "batch", str(self.list), "-o", str(self.folder), "--pack",
                   str(self.pack), "--jobs", str(jobs), "--texture", "64", "--faces", "200", "--threads", "1"]
        command += [] if said else ["--quiet"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if said else None,
                                text=True, start_new_session=True)


def _entries(folder: Path) -> list[dict]:
    path = folder / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _workers(process: subprocess.Popen) -> list[int]:
    """The processes that make meshes."""
    return [each for each in living(process.pid) if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]

"""Kills: of the step that writes, at every rename and at any time; of the command line; of builds. And disks that are full."""

import importlib.util
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.hard.kinds import Kind, Lost, Mixed
from meshwright.engines.errors import OutputError
from meshwright.engines.files.file_set import check_writable
from meshwright.runtime import Pipeline
from meshwright.runtime.cli.targets import Targets
from meshwright.runtime.results import Generation
from tests.runtime import tiny_pack

SMALL = {"steps": 1, "prior_steps": 1, "texture": 64, "faces": 200}
# How long a process may live on after the one that started it was killed.
LIVES_ON = 2.0
REFUSED, FOREIGN = 3, 4  # exit codes of a child that writes


class Encoded:
    """A generation whose files are encoded already, so that a case only writes them."""

    def __init__(self, made: Generation, targets: Targets) -> None:
        self._made, self._preview = made, made.preview(64)
        self._files, self._stages = made.encode(targets.output), made.encode_stages(targets.stages)

    def __getattr__(self, name: str) -> object:
        return getattr(self._made, name)

    def preview(self, size: int = 64) -> np.ndarray:
        return self._preview

    def encode(self, path: Path) -> dict[Path, bytes]:
        return dict(self._files)

    def encode_stages(self, folder: Path) -> dict[Path, bytes]:
        return {folder / path.name: data for path, data in self._stages.items()}


class WriteKills(Kind):
    """An OBJ with its material and texture, a preview and the stages, written over an older set, killed in the middle."""

    name, goal = "write kills", 400
    said = "kills of the writing step, at every rename and at any time: the set is the old or the new one, and the next run mends the rest"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "out"
        with Pipeline.open(tiny_pack.build(folder / "tiny"), trust=True, threads=1) as pipe:
            made = [pipe.generate(prompt, seed=seed, **SMALL) for seed, prompt in enumerate(("a red chair", "a white table"))]
        self.targets = Targets(self.folder / "a.obj", self.folder / "p.png", self.folder / "stages")
        self.made = [Encoded(each, self.targets) for each in made]
        self.sets = []
        for made in self.made:
            self.folder.mkdir(exist_ok=True)
            self.targets.write(made)
            self.sets.append(_contents(self.folder))
            shutil.rmtree(self.folder)
        started = time.perf_counter()
        self._child(lambda: None, self.made[1])
        self.seconds = time.perf_counter() - started
        self.renames = len(self.sets[0])

    def case(self, number: int, rng: Random) -> str:
        _put(self.folder, self.sets[0])
        at = number % (2 * self.renames + 3)
        if at < 2 * self.renames:
            ended = self._child(lambda: _kill_at_rename(at // 2, before=at % 2 == 0), self.made[1])
        else:
            ended = self._child(lambda: _kill_after(rng.uniform(0.0, 1.2 * self.seconds) + 1e-4), self.made[1])
        self._check_whole(_contents(self.folder))
        was_mixed = _contents(self.folder) not in self.sets
        _recover(self.folder)
        found = _contents(self.folder)
        if found not in self.sets:
            new = ", ".join(sorted(name for name in found if found[name] == self.sets[1].get(name)))
            raise Mixed(f"after the next run has begun: {new} new, others old")
        self._check_written()
        if was_mixed:
            return "killed between two renames, and mended"
        return "killed" if ended < 0 else "ended before it was killed"

    def _check_whole(self, found: dict[str, bytes]) -> None:
        old, new = self.sets
        for name in {*old, *new}:
            if found.get(name) not in (old.get(name), new.get(name)):
                raise Lost(f"{name} is {'half-written' if name in found else 'lost'}")

    def _check_written(self) -> None:
        """The next run leaves the new set, and nothing of the one that was killed."""
        if self._child(lambda: None, self.made[1]) != 0 or _contents(self.folder) != self.sets[1]:
            raise Lost("the next run left something else than the new set")
        if left := [path.name for path in self.folder.rglob("*.part")]:
            raise Lost(f"the next run leaves {len(left)} temporary files of the one that was killed: {left[0]}")

    def _child(self, prepare: Callable[[], None], made: Encoded) -> int:
        """Write in a process of its own: its exit code, negative for a signal."""
        child = os.fork()
        if child == 0:
            code = FOREIGN
            try:
                self.folder.mkdir(exist_ok=True)
                prepare()
                self.targets.write(made)
                code = 0
            except OutputError:
                code = REFUSED
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class FullDisks(WriteKills):
    """The same where no file may grow beyond some bytes: refused, and the old set is there."""

    name, goal = "full disks", 200
    said = "writing where the disk is full after so many bytes: refused, the old set untouched"

    def case(self, number: int, rng: Random) -> str:
        _put(self.folder, self.sets[0])
        largest = max(map(len, self.sets[1].values()))
        most = rng.randrange(largest)

        def small_disk() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        ended = self._child(small_disk, self.made[1])
        if ended != REFUSED:
            raise AssertionError(f"writing ended with {ended}, where a disk takes files of {most} bytes at most")
        if _contents(self.folder) != self.sets[0]:
            raise Lost("the old set was changed")
        return "refused"


class CommandKills(Kind):
    """`meshwright generate`, killed at any time of its life."""

    name, goal, limit = "command kills", 100, 60.0
    said = "kills of `meshwright generate` at any time: the file is the old or the new one, no process lives on"

    def __init__(self, folder: Path) -> None:
        self.folder, self.pack = folder / "out", tiny_pack.build(folder / "tiny")
        os.environ["MESHWRIGHT_TRUSTED"] = str(folder)
        self.sets, self.seconds = [], 0.0
        for seed in range(2):
            self.folder.mkdir(exist_ok=True)
            started = time.perf_counter()
            if self._start(seed).wait() != 0:
                raise RuntimeError("the command does not run")
            self.seconds = time.perf_counter() - started
            self.sets.append(_contents(self.folder))
            shutil.rmtree(self.folder)

    def case(self, number: int, rng: Random) -> str:
        _put(self.folder, self.sets[0])
        process = self._start(1)
        # Every other one in the last third of its life, when it writes.
        ended = wait(process, rng.uniform(0 if number % 2 else 0.65 * self.seconds, 1.05 * self.seconds))
        kill(process)
        check_nobody(process.pid)
        _recover(self.folder)
        found = _contents(self.folder)
        if not any(all(found.get(name) == each[name] for name in each) for each in self.sets):
            raise Lost("neither the old nor the new set is there: " + ", ".join(sorted(found)))
        return "ended before it was killed" if ended else "killed"

    def _start(self, seed: int) -> subprocess.Popen:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", ("a red chair", "a white table")[seed], "--pack",
                   str(self.pack), "--seed", str(seed), "--steps", "1", "--texture", "64", "--faces", "200", "--threads", "1", "-o",
                   str(self.folder / "a.obj"), "--quiet"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


class BuildKills(Kind):
    """`meshwright build`, killed while it builds; the next build then works at once and leaves nothing over."""

    name, goal, limit = "build kills", 20, 300.0
    said = "kills of `meshwright build`: no worker lives on, the next build works and sweeps"

    def __init__(self, folder: Path) -> None:
        self.pack = tiny_pack.build(folder / "tiny")
        self.cache = folder / "cache"
        os.environ |= {"MESHWRIGHT_TRUSTED": str(folder), "MESHWRIGHT_CACHE": str(self.cache)}
        self.there = importlib.util.find_spec("tensorrt_rtx") is not None
        started = time.perf_counter()
        if self.there and self._start().wait() != 0:
            raise RuntimeError("the build does not run")
        self.seconds = time.perf_counter() - started

    def case(self, number: int, rng: Random) -> str:
        if not self.there:
            return "not tried: TensorRT-RTX is not installed"
        shutil.rmtree(self.cache, ignore_errors=True)
        process = self._start()
        ended = wait(process, rng.uniform(0.3, 1.0) * self.seconds)
        kill(process)
        check_nobody(process.pid)
        if self._start().wait() != 0:
            raise Lost("the next build failed")
        left = [path.name for path in self.cache.rglob("*.part")]
        if left:
            raise Lost(f"left over after the next build: {', '.join(left)}")
        return "ended before it was killed" if ended else "killed"

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "build", str(self.pack), "--backend", "tensorrt-rtx", "--component",
                   "field_color", "--quiet"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def _kill_at_rename(count: int, *, before: bool) -> None:
    """Let this process be killed at its rename number `count`."""
    real, done = os.replace, [0]

    def replace(source: str, target: str, **options: object) -> None:
        if before and done[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        real(source, target, **options)
        done[0] += 1
        if done[0] > count:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = os.rename = replace


def _kill_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file but temporary ones, by its name below the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.endswith(".part")}


def _recover(folder: Path) -> None:
    """What a run does first in the folder that it will write to. Nothing of a run that was killed is left there then."""
    folder.mkdir(exist_ok=True)
    check_writable([folder / "a.obj", folder / "stages" / "surface.ply"])
    if left := [path.name for path in folder.rglob("*.part")]:
        raise Lost(f"{len(left)} temporary files of the run that was killed are left: {left[0]}")


def _put(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def wait(process: subprocess.Popen, seconds: float) -> bool:
    """Whether it ends in that time."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def kill(process: subprocess.Popen) -> None:
    """That process alone: what it has started must end of itself."""
    process.kill()
    process.wait()


def check_nobody(session: int, seconds: float = LIVES_ON) -> None:
    """Lost if a process of that session lives on for longer; it is then ended."""
    until = time.monotonic() + seconds
    while (found := living(session)) and time.monotonic() < until:
        time.sleep(0.05)
    if found:
        for process in found:
            os.kill(process, signal.SIGKILL)
        raise Lost(f"{len(found)} processes live on {seconds:g} s after the one that started them was killed")


def living(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if entry.name.isdigit() and int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
        except (OSError, IndexError, ValueError):  # it has ended, or is no process
            continue
    return found

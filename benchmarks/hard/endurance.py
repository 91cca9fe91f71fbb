"""Clocks that jump, and many runs in one process."""

import os
import time
from pathlib import Path
from random import Random

from benchmarks.hard.kinds import Kind, Lost
from meshwright.runtime import Pipeline
from meshwright.runtime.files.writer import encode
from tests.runtime import tiny_pack

SMALL = {"steps": 1, "prior_steps": 1, "texture": 64, "faces": 200}
BLOCK, WARM_BLOCKS, MAX_GROWTH = 10, 4, 48.0  # runs; blocks before the first mark; MiB
JUMPS = (0.0, 0.0, 3600.0, -3600.0, 86400.0 * 400, -86400.0 * 400, -1.8e9, 4e9)


class Clocks(Kind):
    """A pack is opened and run while the clock of the day jumps for hours and years at any look."""

    name, goal = "clocks", 100
    said = "runs while the clock jumps by hours and years: the same mesh"

    def __init__(self, folder: Path) -> None:
        self.pack = tiny_pack.build(folder / "tiny")
        self.expected = self._made()

    def case(self, number: int, rng: Random) -> str:
        real, real_ns = time.time, time.time_ns
        time.time = lambda: max(0.0, real() + rng.choice(JUMPS))
        time.time_ns = lambda: int(time.time() * 1e9)
        try:
            made = self._made()
        finally:
            time.time, time.time_ns = real, real_ns
        if made != self.expected:
            raise Lost("another mesh")
        return "the same mesh"

    def _made(self) -> bytes:
        with Pipeline.open(self.pack, trust=True, threads=1) as pipe:
            mesh = pipe.generate("a red chair", **SMALL).mesh
        return b"".join(encode(mesh, Path("a.obj"), None, 1.0).values())


class Soak(Kind):
    """Runs in one process, in blocks: memory, open files and threads stay as they were."""

    name, goal, limit = "soak", 60, 180.0
    said = f"blocks of {BLOCK} runs in one process: its memory, open files and threads do not grow"

    def __init__(self, folder: Path) -> None:
        self.pipe = Pipeline.open(tiny_pack.build(folder / "tiny"), trust=True, threads=1)
        self.blocks, self.mark = 0, (0.0, 0, 0)

    def case(self, number: int, rng: Random) -> str:
        for i in range(BLOCK):
            self.pipe.generate(rng.choice(("a red chair", "a white table", "a chair")), seed=number * BLOCK + i, **SMALL)
        self.blocks += 1
        memory, files, threads = _now()
        if self.blocks <= WARM_BLOCKS:
            self.mark = memory, files, threads
            return "warming up"
        grown = memory - self.mark[0]
        if grown > MAX_GROWTH or files > self.mark[1] or threads > self.mark[2]:
            raise Lost(f"grown by {grown:.1f} MiB, {files - self.mark[1]} files and {threads - self.mark[2]} threads in "
                       f"{(self.blocks - WARM_BLOCKS) * BLOCK} runs")
        return next(f"memory grown by less than {limit} MiB" for limit in (1, 4, 16, 48) if grown < limit)

    def close(self) -> None:
        self.pipe.close()


def _now() -> tuple[float, int, int]:
    """MiB in use, open files, threads."""
    status = Path("/proc/self/status").read_text()
    return (int(status.split("VmRSS:")[1].split()[0]) / 1024, len(os.listdir("/proc/self/fd")), int(status.split("Threads:")[1].split()[0]))

"""What a user waits for before the first mesh, and what lies on the disk: fresh processes, a fresh environment."""

from __future__ import annotations

import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from ..harness.command import CLI, checked_command

TRAINING = ("torch", "diffusers", "transformers")
INSTALLERS = ("pip", "setuptools", "wheel")
IMPORT = "import time; t = time.perf_counter(); import meshwright.runtime; print(time.perf_counter() - t)"


def start_to_glb(pack: str, prompt: str, times: int, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """The command line in a fresh process: median seconds until it has ended, and its largest resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*CLI, "generate", prompt, "-o", str(Path(folder) / "made.glb"), "--pack", pack, "--quiet"]
        runs = [checked_command(command, environment=environment) for _ in range(times)]
    return {"seconds": median(run.seconds for run in runs), "processor": median(run.processor_seconds for run in runs),
            "memory": max(run.peak_bytes for run in runs) / (1 << 20)}


def import_seconds(times: int = 7) -> float:
    """Median seconds of `import meshwright.runtime` in fresh processes."""
    return median(float(checked_command([sys.executable, "-c", IMPORT]).output) for _ in range(times))


def installed_size(project: Path) -> dict:
    """Install the project without extras into a fresh environment: its size in MB, and training packages found there.

    The size is that of site-packages without pip itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        checked_command([python, "-m", "pip", "install", "-q", "--no-cache-dir", project])
        return size_of(Path(checked_command([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).output.strip()))


def size_of(packages: Path) -> dict:
    """Megabytes of a site-packages folder without the installers, by package, and the training packages in it."""
    sizes = {entry.name: sum(file.stat().st_size for file in (entry, *entry.rglob("*")) if file.is_file())
             for entry in packages.iterdir() if entry.name.split("-")[0] not in INSTALLERS}
    largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:8])
    return {"megabytes": sum(sizes.values()) / 1e6, "largest": {name: size / 1e6 for name, size in largest.items()},
            "training": [name for name in TRAINING if name in sizes]}

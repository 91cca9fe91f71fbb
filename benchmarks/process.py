"""What a user waits for before the first mesh, and what lies on the disk: fresh processes, a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from statistics import median

TRAINING = ("torch", "diffusers", "transformers")
INSTALLERS = ("pip", "setuptools", "wheel")
IMPORT = "import time; t = time.perf_counter(); import meshwright.runtime; print(time.perf_counter() - t)"


def start_to_glb(pack: str, prompt: str, times: int) -> dict[str, float]:
    """The command line in a fresh process: median seconds until it has ended, and its largest resident memory in MB."""
    seconds, memory = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "made.glb"
            command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", prompt, "-o", str(made),
                       "--pack", pack, "--quiet"]
            began = time.perf_counter()
            child = subprocess.Popen(command)
            _, status, used = os.wait4(child.pid, 0)
            seconds.append(time.perf_counter() - began)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode or not made.is_file():
                raise SystemExit(f"{' '.join(command)} ended with code {child.returncode}")
        # Linux counts in kilobytes, macOS in bytes.
        memory.append(used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))
    return {"seconds": median(seconds), "memory": max(memory)}


def import_seconds(times: int = 7) -> float:
    """Median seconds of `import meshwright.runtime` in fresh processes."""
    command = [sys.executable, "-c", IMPORT]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(times)]
    return median(float(run.stdout) for run in runs)


def installed_size(project: Path) -> dict:
    """Install the project without extras into a fresh environment: its size in MB, and training packages found there.

    The size is that of site-packages without pip itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-cache-dir", str(project)], check=True)
        command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        return size_of(packages)


def size_of(packages: Path) -> dict:
    """Megabytes of a site-packages folder without the installers, by package, and the training packages in it."""
    sizes = {entry.name: _bytes(entry) for entry in packages.iterdir() if entry.name.split("-")[0] not in INSTALLERS}
    largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:8])
    return {"megabytes": sum(sizes.values()) / 1e6, "largest": {name: size / 1e6 for name, size in largest.items()},
            "training": [name for name in TRAINING if name in sizes]}


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size

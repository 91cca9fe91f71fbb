"""Packs for the GPU benchmark: published layouts with random weights, calculated in FP16.

    python -m benchmarks.gpu_packs --work DIR [--packs sharp-it instantmesh] [--size small|full]

Writes the checkpoints into DIR/published, several files at once, and the packs beside it; what is there already stays. The graphs
are not compared with PyTorch here, which takes minutes in ONNX Runtime's FP16 kernels for processors: `benchmarks.gpu` replays
the golden tensors on every side, and `benchmarks.full_size` compares.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from unittest.mock import patch

from .full_size.job import PACKS, Job
from .full_size.sizes import SIZES

ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    files, sizes = args.files or args.work / "published", SIZES[args.size]
    jobs = [Job(pack, "fp16-compute", sizes, files, args.work) for pack in args.packs]
    jobs = [job for job in jobs if not (job.target / "pack.json").is_file()]
    if len(jobs) < 2:
        for job in jobs:
            write_files(files, args.size, job.published)
            export(job)
        return
    write_files(files, args.size, dict.fromkeys(name for job in jobs for name in job.published))
    _together([["benchmarks.gpu_packs", "--work", str(args.work), "--files", str(files), "--size", args.size, "--packs", job.pack]
               for job in jobs])


def write_files(folder: Path, size: str, names: Iterable[str]) -> None:
    """The checkpoints of those names, each in a process of its own: drawing random numbers takes one core."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not (folder / name).exists()]
    _together([["benchmarks.full_size.published", "--out", str(folder), "--size", size, "--only", name] for name in missing])


def export(job: Job) -> None:
    """Write the pack without the comparison."""
    from meshwright.export.published import plan as plans

    began = time.perf_counter()
    plan = job.plan()
    plan.check()
    with patch.object(plans, "write_pack", partial(plans.write_pack, check_parity=False)):
        plan.write(job.target, job.name, on_component=lambda event: print(f"{job.name}: {event}", file=sys.stderr, flush=True))
    print(f"{job.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def _together(commands: list[list[str]]) -> None:
    children = [subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT) for command in commands]
    if any([child.wait() for child in children]):
        raise SystemExit("a process failed, see above")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the packs and the checkpoints")
    parser.add_argument("--files", type=Path, help="folder of the checkpoints (default: published in --work)")
    parser.add_argument("--packs", nargs="+", choices=PACKS, default=list(PACKS[:2]))
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    args = parser.parse_args(arguments)
    args.work, args.files = args.work.resolve(), args.files and args.files.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()

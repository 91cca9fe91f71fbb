"""Packs without their weights, and their PyTorch modules: published layouts of 13 GB and the bundled pack as a file of 1 MB.

    python -m benchmarks.gpu.skeletons write FILE [--size full|small] [--packs ...]
    python -m benchmarks.gpu.skeletons fill FILE DIR

DIR gets the packs, with random weights, and `modules/PACK/KIND.pt`: of the bundled pack these alone, which travels with the checkout.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from pathlib import Path

from ..full_size_packs import Job
from ..full_size_worker import SIZES
from ..outlines import PROPS, fill_outlines, write_bundled_modules, write_pack_outline

PACKS, MODULES, FILLED = ("sharp-it", "instantmesh", PROPS), "modules", "filled"


def write(file: Path, size: str, packs: list[str]) -> None:
    """The archive of those packs."""
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(file, "w:xz") as archive:
        folder = Path(scratch) / "packs"
        for pack in packs:
            if pack == PROPS:
                write_bundled_modules(Path(scratch) / PROPS, folder / MODULES / PROPS)
            else:
                write_pack_outline(Job(pack, "fp16-compute", SIZES[size], Path(scratch), folder), folder / MODULES)
        archive.add(folder, arcname=".")


def fill(file: Path, out: Path) -> None:
    """Unpack the archive into `out`, and fill its packs; nothing is done where that has been done."""
    if not (out / FILLED).exists():
        with tarfile.open(file) as archive:
            archive.extractall(out, filter="data")
        fill_outlines(out)
        (out / FILLED).touch()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.skeletons", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    writing, filling = (commands.add_parser(name) for name in ("write", "fill"))
    for command, work in ((writing, lambda args: write(args.file, args.size, args.packs)), (filling, lambda args: fill(args.file, args.out))):
        command.add_argument("file", type=Path, help="the archive, .tar.xz")
        command.set_defaults(work=work)
    writing.add_argument("--size", choices=tuple(SIZES), default="full")
    writing.add_argument("--packs", nargs="+", choices=PACKS, default=list(PACKS))
    filling.add_argument("out", type=Path, help="folder of the packs")
    args = parser.parse_args(arguments)
    args.work(args)


if __name__ == "__main__":
    main()

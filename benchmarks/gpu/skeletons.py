"""Packs without their weights, and their PyTorch modules: published layouts of 13 GB as a file of a few MB at most.

    python -m benchmarks.gpu.skeletons write FILE [--size full|small] [--packs ...]
    python -m benchmarks.gpu.skeletons fill FILE DIR

DIR gets the packs, with random weights, and `modules/PACK/KIND.pt`: of the bundled pack these alone, which travels with the checkout.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from pathlib import Path

from ..full_size.job import Job
from ..full_size.outlines import PROPS, fill_outlines, write_bundled_modules, write_pack_outline
from ..full_size.sizes import SIZES

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
    commands = parser.add_subparsers(dest="command", required=True)
    writing, filling = (commands.add_parser(name) for name in ("write", "fill"))
    for each in (writing, filling):
        each.add_argument("file", type=Path, help="the archive, .tar.xz")
    writing.add_argument("--size", choices=tuple(SIZES), default="full")
    writing.add_argument("--packs", nargs="+", choices=PACKS, default=list(PACKS))
    filling.add_argument("out", type=Path, help="folder of the packs")
    args = parser.parse_args(arguments)
    write(args.file, args.size, args.packs) if args.command == "write" else fill(args.file, args.out)


if __name__ == "__main__":
    main()

"""How good the `props` pack is, measured on props that training never saw (seeds from 10,000,000 up).

    python -m benchmarks.quality --pack props --checkpoints DIR
    python -m benchmarks.quality --pack props --image

What is measured, and how:

- Reconstruction (`refinement.measure_object`): true views of held-out props, families in turn, through the reconstructor. IoU at 131,072
  uniform random points of the cube of half side 1.05, of the field's inside and of the finished mesh's inside.
- Refiner (`refinement`): coarse views of autoencoded props against their true views, and the chain from there: F-score of the
  finished mesh, as for pictures. Needs --checkpoints, for the encoder, which is no part of a pack.
- Soundness (`soundness`): pieces and handles of the meshes of prompts beyond those of their family; flat parts that stay flat.
- Whole pipeline (`generation`, `families`): training-like captions of held-out props, and hand-written paraphrases.
  Seed i for prompt i, one try each. An object that could not be made counts as wrong.
- Texture sources: mean absolute colour error at 4,096 points of the finished mesh, from true and from refined views.
- Pictures (`generation.measure_picture`, with --image, in place of all the others): photos of held-out props from random cameras
  before textured backgrounds, with noise. IoU of the matte; PSNR and IoU of outlines of the six views, F-score of the mesh,
  24,000 points a side, at 0.02 of the prop's longest side. This pack draws a picture's object as it stands in the world,
  from wherever the picture was taken, so nothing is aligned. By the coarse route: family and main colour, as for prompts.

Records are kept beside the results, so a stopped run goes on; --stop-after SECONDS ends a run early. Writes
props_quality.json, props_quality.md, and two contact sheets of the first prompts as they come; with --image picture_quality.*
and the sheet of the first photos.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from meshwright.runtime.pack.pack import Pack

from ..harness.command import ROOT
from ..harness.results import RESULTS, Results, machine
from . import sheet, summary
from .page import page, picture_page
from .prompts import paraphrases
from .tasks import KINDS, PICTURE_KINDS, Task, records, run
from .workbench import Setup

DOCS = ROOT / "docs"


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    pack = Pack.open(args.pack)
    folder = args.out / "records" / pack.hash[:16]
    (_measure_pictures if args.image else _measure_prompts)(args, pack, folder)


def _measure_prompts(args: argparse.Namespace, pack: Pack, folder: Path) -> None:
    counts = {"object": args.objects, "refine": args.refined if args.checkpoints else 0, "prompt": args.prompts,
              "paraphrase": min(args.paraphrases, len(paraphrases()))}
    found = _records(args, folder, counts, KINDS)
    _publish(args.out, "props_quality", pack, summary.bars(*found), summary.details(*found), page)
    sheet.write_sheets(folder, args.sheet or DOCS / "contact_sheet.png", args.prompts)


def _measure_pictures(args: argparse.Namespace, pack: Pack, folder: Path) -> None:
    found = _records(args, folder, {"picture": args.pictures, "steered": args.steered}, PICTURE_KINDS)
    _publish(args.out, "picture_quality", pack, summary.picture_bars(*found), summary.picture_details(*found), picture_page)
    sheet.write_picture_sheet(folder, args.sheet or DOCS / "pictures.png", args.pictures)


def _records(args: argparse.Namespace, folder: Path, counts: dict[str, int], kinds: tuple[str, ...]) -> list[list[dict]]:
    """The records of each kind, once those that are missing have been made."""
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    tasks = [Task(kind, index) for kind in kinds for index in range(counts[kind])]
    run(Setup(args.pack, args.checkpoints, threads), folder, tasks, args.jobs, args.stop_after)
    return [records(folder, kind, counts[kind]) for kind in kinds]


def _publish(out: Path, name: str, pack: Pack, bars: list[summary.Bar], details: dict, as_page: Callable) -> None:
    document = {"pack": {"name": pack.manifest.name, "version": pack.manifest.version, "sha256": pack.hash}, "machine": machine(),
                "bars": [vars(bar) | {"met": bar.met} for bar in bars], "details": details}
    results = Results(out, name, document, lambda document: as_page(document, bars), anew=True)
    results.save()
    print(results.page())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props", help="name or folder of the pack")
    parser.add_argument("--checkpoints", type=Path, help="folder of the training checkpoints, for the refiner")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--paraphrases", type=int, default=1000, help="at most so many of the hand-written ones")
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--refined", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--image", action="store_true", help="measure what becomes of pictures, and not of prompts")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--steered", type=int, default=60, help="photos that go the coarse route as well")
    parser.add_argument("--sheet", type=Path, help="the contact sheet; docs/contact_sheet.png or docs/pictures.png by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--stop-after", type=float, default=float("inf"), help="seconds; begin no task after them")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""How good the `props` pack is, measured on props that training never saw (seeds from 10,000,000 up).

    python -m benchmarks.props_quality --pack props --checkpoints DIR
    python -m benchmarks.props_quality --pack props --image

What is measured, and how:

- Reconstruction (`objects`): true views of held-out props, families in turn, through the reconstructor. IoU at 131,072
  uniform random points of the cube of half side 1.05, of the field's inside and of the finished mesh's inside.
- Refiner (`refinement`): coarse views of autoencoded props against their true views, and the chain from there: F-score of the
  finished mesh, as for pictures. Needs --checkpoints, for the encoder, which is no part of a pack.
- Soundness (`soundness`): pieces and handles of the meshes of prompts beyond those of their family; flat parts that stay flat.
- Whole pipeline (`generation`, `families`): training-like captions of held-out props, and hand-written paraphrases.
  Seed i for prompt i, one try each. An object that could not be made counts as wrong.
- Texture sources: mean absolute colour error at 4,096 points of the finished mesh, from true and from refined views.
- Pictures (`pictured`, with --image, in place of all the others): photos of held-out props from random cameras before textured
  backgrounds, with noise. The matte's IoU; the six views' PSNR and outlines' IoU against the true ones; F-score of the mesh,
  24,000 points a side, at 0.02 of the prop's longest side. This pack draws a picture's object as it stands in the world,
  from wherever the picture was taken, so nothing is aligned. By the coarse route: family and main colour, as for prompts.

Records are kept beside the results, so a stopped run goes on; --stop-after SECONDS ends a run early. Writes
props_quality.json, props_quality.md, and the contact sheet of the first prompts as they come; with --image picture_quality.*
and the sheet of the first photos.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from meshwright.runtime.pack.pack import Pack

from . import picture_summary, report, sheet, summary
from .prompts import paraphrases
from .tasks import KINDS, PICTURE_KINDS, Task, records, run
from .workbench import SOURCES, Setup

ROOT = Path(__file__).parent
DOCS = ROOT.parent / "docs"
WRONG = ("wrong family", "wrong main colour")


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    pack = Pack.open(args.pack)
    folder = args.out / "records" / pack.hash[:16]
    (_measure_pictures if args.image else _measure_prompts)(args, pack, folder)


def _measure_prompts(args: argparse.Namespace, pack: Pack, folder: Path) -> None:
    counts = {"object": args.objects, "refine": args.refined if args.checkpoints else 0, "prompt": args.prompts,
              "paraphrase": min(args.paraphrases, len(paraphrases()))}
    found = _records(args, folder, counts, KINDS)
    document = _document(pack, summary.bars(*found), summary.details(*found))
    _publish(args.out, "props_quality", document, page(document, summary.bars(*found)))
    sheet.write_sheet(folder, args.sheet or DOCS / "contact_sheet.png", args.prompts)


def _measure_pictures(args: argparse.Namespace, pack: Pack, folder: Path) -> None:
    found = _records(args, folder, {"picture": args.pictures, "steered": args.steered}, PICTURE_KINDS)
    document = _document(pack, picture_summary.bars(*found), picture_summary.details(*found))
    _publish(args.out, "picture_quality", document, picture_summary.page(document, picture_summary.bars(*found)))
    sheet.write_picture_sheet(folder, args.sheet or DOCS / "pictures.png", args.pictures)


def _records(args: argparse.Namespace, folder: Path, counts: dict[str, int], kinds: tuple[str, ...]) -> list[list[dict]]:
    """The records of each kind, once those that are missing have been made."""
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    tasks = [Task(kind, index) for kind in kinds for index in range(counts[kind])]
    run(Setup(args.pack, args.checkpoints, threads), folder, tasks, args.jobs, args.stop_after)
    return [records(folder, kind, counts[kind]) for kind in kinds]


def _document(pack: Pack, bars: list[summary.Bar], details: dict) -> dict:
    return {"pack": {"name": pack.manifest.name, "version": pack.manifest.version, "sha256": pack.hash},
            "machine": report.machine(), "bars": [vars(bar) | {"met": bar.met} for bar in bars], "details": details}


def _publish(out: Path, name: str, document: dict, text: str) -> None:
    report.write(out, name, document, text)
    print(text)


def page(document: dict, bars: list[summary.Bar]) -> str:
    """The Markdown page of the figures."""
    details, pack = document["details"], document["pack"]
    parts = [f"# Quality of the pack {pack['name']} {pack['version']}",
             f"Pack {pack['sha256'][:16]}; the protocol is in `benchmarks/props_quality.py`.", report.bar_table(bars),
             "## Reconstruction by family, IoU", _families(details["reconstruction by family"]),
             "## Whole pipeline", _pipelines(details),
             "## Refiner", _refiner(details["refiner"]),
             "## Mean absolute colour error of each texture source", _textures(details)]
    return "\n\n".join(parts)


def _families(found: dict) -> str:
    rows = [[family, report.shown(value), report.shown(found["mesh"][family])]
            for family, value in sorted(found["field"].items(), key=lambda item: item[1])]
    return report.table(["family", "field", "finished mesh"], rows)


def _pipelines(details: dict) -> str:
    held, paraphrased = details["held-out prompts"], details["paraphrases"]
    names = [name for name in held if not name.startswith("wrong")]
    rows = [[name, report.shown(held[name], "share"), report.shown(paraphrased[name], "share")] for name in names]
    wrong = [f"- {line}" for found in (held, paraphrased) for kind in WRONG for line in found[kind]]
    figures = report.table(["", "held-out prompts", "paraphrases"], rows)
    return "\n".join([figures, "", "What went wrong:", "", *(wrong or ["- nothing"])])


def _refiner(found: dict) -> str:
    rows = [[name, report.shown(value["PSNR"]), report.shown(value["main colour right"], "share")]
            for name, value in found.items()]
    return report.table(["views", "PSNR against the true views, dB", "main colour right"], rows)


def _textures(details: dict) -> str:
    rows = [[name.removeprefix("texture error, "), *(report.shown(found.get(source)) for source in SOURCES)]
            for name, found in details.items() if name.startswith("texture error")]
    return report.table(["made from", *SOURCES], rows)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props", help="name or folder of the pack")
    parser.add_argument("--checkpoints", type=Path, help="folder of the training checkpoints, for the refiner")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--paraphrases", type=int, default=1000, help="at most so many of the hand-written ones")
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--refined", type=int, default=30)
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    parser.add_argument("--image", action="store_true", help="measure what becomes of pictures, and not of prompts")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--steered", type=int, default=60, help="photos that go the coarse route as well")
    parser.add_argument("--sheet", type=Path, help="the contact sheet; docs/contact_sheet.png or docs/pictures.png by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--stop-after", type=float, default=float("inf"), help="seconds; begin no task after them")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

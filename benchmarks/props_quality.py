"""How good the `props` pack is, measured on props that training never saw (seeds from 10,000,000 up).

    python -m benchmarks.props_quality --pack props --checkpoints DIR

What is measured, and how:

- Reconstruction (`objects`): true views of held-out props, families in turn, through the reconstructor. IoU at 131,072
  uniform random points of the cube of half side 1.05, of the field's inside and of the finished mesh's inside.
- Refiner (`refinement`): coarse views of autoencoded props against their true views. Needs --checkpoints, for the
  encoder, which is no part of a pack.
- Whole pipeline (`generation`, `families`): training-like captions of held-out props, and hand-written paraphrases.
  Seed i for prompt i, one try each. An object that could not be made counts as wrong.
- Texture sources: mean absolute colour error at 4,096 points of the finished mesh, from true and from refined views.

Records are kept beside the results, so a stopped run goes on; --stop-after SECONDS ends a run early. Writes
props_quality.json, props_quality.md, and the contact sheet of the first prompts as they come.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from meshwright.runtime.pack import Pack

from . import report, sheet, summary
from .prompts import paraphrases
from .tasks import KINDS, Task, records, run
from .workbench import SOURCES, Setup

ROOT = Path(__file__).parent
WRONG = ("wrong family", "wrong main colour")


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    pack = Pack.open(args.pack)
    folder = args.out / "records" / pack.hash[:16]
    counts = {"object": args.objects, "refine": args.refined if args.checkpoints else 0, "prompt": args.prompts,
              "paraphrase": min(args.paraphrases, len(paraphrases()))}
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    tasks = [Task(kind, index) for kind in KINDS for index in range(counts[kind])]
    run(Setup(args.pack, args.checkpoints, threads), folder, tasks, args.jobs, args.stop_after)
    found = [records(folder, kind, counts[kind]) for kind in KINDS]
    bars, details = summary.bars(*found), summary.details(*found)
    document = {"pack": {"name": pack.manifest.name, "version": pack.manifest.version, "sha256": pack.hash},
                "machine": report.machine(), "bars": [vars(bar) | {"met": bar.met} for bar in bars], "details": details}
    text = page(document, bars)
    report.write(args.out, "props_quality", document, text)
    sheet.write_sheet(folder, args.sheet, args.prompts)
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
    parser.add_argument("--sheet", type=Path, default=ROOT.parent / "docs" / "contact_sheet.png")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--stop-after", type=float, default=float("inf"), help="seconds; begin no task after them")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""The published models at their full size: export, speed beside PyTorch eager, whole runs, and the memory of each.

    python -m benchmarks.full_size --work DIR [--size small|full] [--packs NAME ...] [--precision fp16 ...]
    python -m benchmarks.full_size --work DIR --size full --quality draft standard

Writes the checkpoints with random weights into DIR/published if they are absent, then for each pack: the export command in a
fresh process; every component in ONNX Runtime and in PyTorch by turns, each side in a process of its own; a run with two steps
for each loop, at each setting of `--memory`. What full_size.json already holds is not measured again, so a run
that was stopped goes on where it was. Figures go to full_size.json and full_size.md. With --quality, nothing but whole runs at these
qualities: `quality`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..harness.results import RESULTS, Results, gib, machine, table
from . import published, quality, runs
from .job import PACKS, Job
from .sizes import SIZES

PRECISIONS = ("fp32", "fp16", "fp16-compute")
# The bars of the issue, in GiB: an export, and a run that holds one large file at a time.
EXPORT_LIMIT, RUN_LIMIT = 14, 12


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    sizes, files = SIZES[args.size], args.files or args.work / "published"
    fresh = {"size": args.size, "threads": args.threads, "machine": machine(), "packs": {}}
    name, make_page = ("full_size_quality", quality.page) if args.quality else ("full_size", page)
    results = Results(args.out, name, fresh, make_page, fixed=("size", "threads"))
    results.note(args.note)
    jobs = [Job(pack, precision, sizes, files, args.work) for precision in args.precision for pack in args.packs]
    files.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        published.write(files, sizes, job.published, on_written=lambda name, seconds: _say(f"wrote {name} in {seconds:.0f} s"))
        if args.quality:
            quality.measure(job, results, args.threads, args.quality, args.memory)
        else:
            measure(job, results, args.threads, args.seconds)
    print(results.page())


def measure(job: Job, results: Results, threads: int, budget: float) -> None:
    """Everything of one pack that was not measured yet."""
    found = results.document["packs"].setdefault(job.name, {"export": None, "speed": {}, "runs": {}})
    if found["export"] is None or not (job.target / "pack.json").is_file():
        _say(f"{job.name}: export")
        found |= {"export": runs.export(job), "speed": {}, "runs": {}}
        results.save()
    for kind in found["export"]["components"]:
        if kind not in found["speed"]:
            found["speed"][kind] = runs.compare(job, kind, threads, budget)
            results.save()
            _say(f"{job.name}: {kind} {found['speed'][kind]['runtime']['seconds']:.3g} s, "
                 f"PyTorch {found['speed'][kind]['eager']['seconds']:.3g} s")
    for memory in runs.MEMORY:
        if memory not in found["runs"]:
            found["runs"][memory] = runs.generate(job, memory, threads)
            results.save()
            _say(f"{job.name}: a run with --memory {memory} took {found['runs'][memory]['seconds']:.1f} s")


def page(document: dict[str, Any]) -> str:
    """`document` as `full_size` keeps it."""
    where = document["machine"]
    parts = ["# The published models at full size" if document["size"] == "full" else "# The published models, shrunk",
             f"{where['processor']}, {where['cores']} cores, {document['threads']} threads. Random weights in the published files' shapes "
             "and formats (`python -m benchmarks.full_size.published`). Both sides of a component ran by turns on the same inputs, in "
             "processes of their own; the median of the rounds counts. PyTorch runs eager, in FP32. Memory is the largest resident set, "
             "pages of mapped files included.", *document.get("notes", [])]
    for name, found in document["packs"].items():
        parts += [f"## {name}", _export_line(found["export"]), _component_table(found), *_slower(found), *_run_part(found)]
    return "\n\n".join(part for part in parts if part)


def _export_line(export: dict[str, Any]) -> str:
    met = "within" if export["peak_bytes"] <= EXPORT_LIMIT << 30 else "BEYOND"
    return (f"Export: {export['seconds']:.0f} s, {export['bytes'] / 1e9:.2f} GB written, peak {gib(export['peak_bytes'])} GiB, "
            f"{met} the limit of {EXPORT_LIMIT}.")


def _component_table(found: dict[str, Any]) -> str:
    rows = []
    for kind, export in found["export"]["components"].items():
        speed = found["speed"].get(kind)
        error = export["error"]
        rows.append([kind, f"{export['parameters']:,}", f"{export['bytes'] / 1e6:,.1f}", "-" if error is None else f"{error:.1e}",
                     f"{export['seconds']:.1f}", gib(export["peak_bytes"]), *(_speed(speed) if speed else ["-"] * 5)])
    return table(["component", "parameters", "file, MB", "relative error", "export, s", "export peak, GiB", "ONNX Runtime, s",
                         "PyTorch, s", "share", "ONNX Runtime peak, GiB", "PyTorch peak, GiB"], rows)


def _speed(speed: dict[str, Any]) -> list[str]:
    ours, eager = speed["runtime"], speed["eager"]
    return [f"{ours['seconds']:.4g}", f"{eager['seconds']:.4g}", f"{share(speed):.2f}", gib(ours["peak_bytes"]), gib(eager["peak_bytes"])]


def share(speed: dict[str, Any]) -> float:
    """Our time as a part of PyTorch's."""
    return speed["runtime"]["seconds"] / speed["eager"]["seconds"]


def _slower(found: dict[str, Any]) -> list[str]:
    slow = [f"{kind} ({share(speed):.2f})" for kind, speed in found["speed"].items() if share(speed) > 1]
    if not found["speed"]:
        return []
    return [f"Slower than PyTorch eager: {', '.join(slow)}." if slow else "No component is slower than PyTorch eager."]


def _run_part(found: dict[str, Any]) -> list[str]:
    runs = found["runs"]
    if not runs:
        return []
    stages = next(iter(runs.values()))["memory"]
    heading = ["stage", *(f"{how}, {unit}" for how in runs for unit in ("s", "GiB"))]
    rows = [[stage, *(cell for run in runs.values() for cell in (f"{run['stages'][stage]:.2f}", gib(run["memory"][stage])))]
            for stage in stages]
    rows.append(["the process", *(cell for run in runs.values() for cell in (f"{run['seconds']:.2f}", gib(run["peak_bytes"])))])
    return ["A run from start to GLB with 2 steps a loop, for each value of `--memory`:", table(heading, rows),
            _verdict(runs)]


def _verdict(runs: dict[str, Any]) -> str:
    said = []
    for how in [how for how in ("low", "lowest") if how in runs]:
        met = "within" if runs[how]["peak_bytes"] <= RUN_LIMIT << 30 else "BEYOND"
        said.append(f"With `--memory {how}` the process stays {met} {RUN_LIMIT} GiB.")
    if {"normal", "low"} <= runs.keys():
        same = runs["normal"]["sha256"] == runs["low"]["sha256"]
        said.append("`normal` and `low` made the same bytes." if same else "THE MESHES OF `normal` AND `low` DIFFER.")
    return " ".join(said)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoints (13 GB at full size) and the packs")
    parser.add_argument("--files", type=Path, help="folder of the checkpoints, if they lie elsewhere than in --work")
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--packs", nargs="+", choices=PACKS, default=list(PACKS[:2]))
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["fp16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quality", nargs="+", choices=quality.QUALITIES, default=[], help="only whole runs, at these")
    parser.add_argument("--memory", choices=runs.MEMORY, default="low", help="of the runs of --quality")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the rounds of one component, about; at least two rounds")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the page, such as why a component is slow")
    parser.add_argument("--out", type=Path, help="folder of the figures (default: the results here, or --work at the small size)")
    args = parser.parse_args(arguments)
    args.work, args.files = args.work.resolve(), args.files and args.files.resolve()
    args.out = args.out or (RESULTS if args.size == "full" else args.work)
    return args


if __name__ == "__main__":
    main()

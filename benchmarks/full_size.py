"""The published models at their full size: export, speed beside PyTorch eager, whole runs, and the memory of each.

    python -m benchmarks.full_size --work DIR [--size small|full] [--packs NAME ...] [--precision fp16 ...]

Writes the checkpoints with random weights into DIR/published if they are absent, then for each pack: the export command in a
fresh process; every component in ONNX Runtime and in PyTorch by turns, each side in a process of its own; a run with two steps
for each loop, at each setting of `--memory`. What full_size.json already holds is not measured again, so a run
that was stopped goes on where it was. Figures go to full_size.json and full_size.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import full_size_runs as runs
from . import published, report
from .full_size_packs import PACKS, Job
from .full_size_page import page
from .full_size_worker import SIZES

ROOT = Path(__file__).parent
PRECISIONS = ("fp32", "fp16", "fp16-compute")


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    sizes, files = SIZES[args.size], args.files or args.work / "published"
    results = Results(args.out, {"size": args.size, "threads": args.threads, "machine": report.machine(), "packs": {}})
    results.note(args.note)
    jobs = [Job(pack, precision, sizes, files, args.work) for precision in args.precision for pack in args.packs]
    files.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        published.write(files, sizes, job.published, on_written=lambda name, seconds: _say(f"wrote {name} in {seconds:.0f} s"))
        measure(job, results, args.threads, args.seconds)
    print(page(results.document))


class Results:
    """full_size.json, saved after every figure, and the page made of it."""

    def __init__(self, folder: Path, fresh: dict[str, Any]) -> None:
        self._folder, path = folder, folder / "full_size.json"
        self.document = json.loads(path.read_text("utf-8")) if path.is_file() else fresh
        if self.document["size"] != fresh["size"] or self.document["threads"] != fresh["threads"]:
            raise SystemExit(f"{path} holds figures of another size or number of threads; choose another --out")

    def pack(self, name: str) -> dict[str, Any]:
        return self.document["packs"].setdefault(name, {"export": None, "speed": {}, "runs": {}})

    def note(self, notes: list[str]) -> None:
        self.document["notes"] = [*dict.fromkeys([*self.document.get("notes", []), *notes])]

    def save(self) -> None:
        report.write(self._folder, "full_size", self.document, page(self.document))


def measure(job: Job, results: Results, threads: int, budget: float) -> None:
    """Everything of one pack that was not measured yet."""
    found = results.pack(job.name)
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
    parser.add_argument("--seconds", type=float, default=60.0, help="for the rounds of one component, about; at least two rounds")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the page, such as why a component is slow")
    parser.add_argument("--out", type=Path, help="folder of the figures (default: the results here, or --work at the small size)")
    args = parser.parse_args(arguments)
    args.work, args.files = args.work.resolve(), args.files and args.files.resolve()
    args.out = args.out or (ROOT / "results" if args.size == "full" else args.work)
    return args


if __name__ == "__main__":
    main()

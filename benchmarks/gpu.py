"""Everything that is to be measured on a GPU, in one go: correctness, speed beside PyTorch and ONNX Runtime, builds, memory.

    python -m benchmarks.gpu --pack PACK [PACK ...] --work DIR [--checkpoints DIR] [--published DIR] [--backend NAME]

For each pack, on the first GPU, with whatever is installed: the engines are built; each component's golden inputs are compared
with ONNX Runtime on the CPU; then PyTorch eager, torch.compile with CUDA graphs, ONNX Runtime CUDA with and without graph,
TensorRT launched plainly and as one graph a loop take turns at every component, at every loop, and end to end. The card's own
rates are measured, and what part of them each network reaches. Every side is a process of its own with a time limit: one that
fails is noted and leaves the rest. PyTorch needs what the pack was exported from: --checkpoints for the bundled pack,
--published for one of the published layouts (`benchmarks.gpu_packs` writes both sides of those).

What DIR/gpu.json holds already is not measured again, so that a run that was stopped goes on. Without a GPU the same runs on the
CPU, where there is no peak and no TensorRT, and the page says what was left out. Writes gpu.json, gpu.md and gpu.png to --out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from meshwright.engines.machine.hardware import Hardware, detect_hardware
from meshwright.runtime.pack.pack import Pack

from . import gpu_builds
from .full_size.job import PROMPT
from .full_size.runs import write_picture
from .gpu_inputs import loops_of
from .gpu_page import page, plot
from .gpu_process import Asked, Process, interleaved
from .gpu_sides import REFERENCE, SIDES, Task
from .harness import results as report

ROOT = Path(__file__).parent
# In the order of what is missed most if the time runs out.
PARTS = ("peaks", "build", "check", "loop", "run", "step", "work", "cold")
PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu13", "tensorrt-rtx", "tensorrt-rtx-cu13", "cuda-core")
# Milliseconds of work in one answer of a short measurement.
SHORT = 100.0


@dataclass(frozen=True)
class Effort:
    """How much is measured. rounds : fewest and most; budget : seconds for the rounds of one measurement; limit : for one answer

    deadline : of `time.monotonic`, after which no further measurement is begun; steps : of the loops, None for the pack's own
    """

    rounds: tuple[int, int]
    budget: float
    limit: float
    deadline: float
    steps: int | None

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


class Notes:
    """gpu.json, saved after every measurement. left_out : what was not measured, and why"""

    def __init__(self, path: Path, fresh: dict[str, Any]) -> None:
        self._path = path
        self.document = json.loads(path.read_text("utf-8")) if path.is_file() else fresh
        if self.document["device"] != fresh["device"]:
            raise SystemExit(f"{path} holds figures of {self.document['device'] or 'no GPU'}; choose another --work")

    def pack(self, name: str) -> dict[str, Any]:
        """What was measured with a pack, by part, item and side."""
        return self.document["packs"].setdefault(name, {})

    def leave_out(self, what: str, why: str) -> None:
        """Note it once."""
        self.document["left_out"][what] = why
        self.save()

    def save(self) -> None:
        """Whole, or as it was."""
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.document, indent=1) + "\n", "utf-8")
        os.replace(part, self._path)


class Measuring:
    """The measurements of one pack. sides : what takes turns; reference : what is right"""

    def __init__(self, pack: Pack, notes: Notes, effort: Effort, sides: Mapping[str, Asked], reference: Asked, work: Path,
                 backend: str | None) -> None:
        self._pack, self._notes, self._effort, self._sides, self._reference = pack, notes, effort, sides, reference
        self._work, self._backend = work, backend
        self._found = notes.pack(pack.manifest.name)
        self._kinds = [component.kind for component in pack.manifest.components.values()]

    def run(self, parts: Iterable[str]) -> None:
        """All of `parts` that are not there yet."""
        for part in parts:
            getattr(self, part)()

    def peaks(self) -> None:
        """The card's rates, once for all packs."""
        if self._has_gpu and not self._notes.document.get("peaks"):
            self._notes.document["peaks"] = next(iter(self._sides.values())).ask(self._effort.limit, do="peaks")
            self._notes.save()

    def build(self) -> None:
        """TensorRT's engines."""
        if not self._has_tensorrt:
            return
        self._once("build", "engines", partial(gpu_builds.build, self._pack, self._backend, max(self._effort.left, 1.0)))
        failed = self._found.get("build", {}).get("engines", {}).get("failed")
        if failed:
            self._notes.leave_out(f"{self._pack.manifest.name}: engines", failed)

    def check(self) -> None:
        """Every component on every side against ONNX Runtime on the CPU, or against the golden outputs where that takes too long."""
        for kind in self._kinds:
            self._once("check", kind, partial(self._checked, kind))

    def step(self) -> None:
        """One evaluation of every component."""
        for kind in self._kinds:
            self._once("step", kind, partial(self._by_turns, {"do": "step", "kind": kind}, SHORT))

    def work(self) -> None:
        """Operations and bytes of every component."""
        counting = next((side for name, side in self._sides.items() if name in ("eager", "eager-cpu")), None)
        if counting is None:
            return
        for kind in self._kinds:
            self._once("work", kind, lambda kind=kind: counting.ask(self._effort.limit, do="work", kind=kind))

    def loop(self) -> None:
        """Every loop of the recipe."""
        for kind, loop in loops_of(self._pack).items():
            request = {"do": "loop", "kind": kind, "steps": self._effort.steps or loop.steps}
            self._once("loop", kind, partial(self._by_turns, request, 1.0))

    def run_all(self) -> None:
        """From the request to the GLB on the disk."""
        self._once("run", "prompt", partial(self._by_turns, {"do": "run", "asked": self._asked()}, 0.0))

    def cold(self) -> None:
        """From the start of a fresh process to the GLB on the disk, as a user has it."""
        self._once("cold", "prompt", lambda: {"command": gpu_builds.cold(self._pack, self._asked(), self._backend, self._effort.limit)})

    @property
    def _has_gpu(self) -> bool:
        return any(SIDES[name].gpu for name in self._sides)

    @property
    def _has_tensorrt(self) -> bool:
        return any(SIDES[name].kind == "tensorrt" for name in self._sides)

    def _once(self, part: str, item: str, measure: Callable[[], dict[str, Any]]) -> None:
        found, what = self._found.setdefault(part, {}), f"{self._pack.manifest.name}: {part} {item}"
        if item in found:
            return
        if self._effort.left <= 0:
            return self._notes.leave_out(what, "the time was over")
        print(what, file=sys.stderr, flush=True)
        found[item] = measure()
        self._notes.document["left_out"].pop(what, None)
        self._notes.save()

    def _by_turns(self, request: Mapping[str, Any], repeat_ms: float) -> dict[str, Any]:
        fewest, most = self._effort.rounds
        return interleaved(self._sides, request, budget=self._effort.budget, limit=self._effort.limit, fewest=fewest, most=most,
                           repeat_ms=repeat_ms)

    def _checked(self, kind: str) -> dict[str, Any]:
        reference = self._work / f"reference-{self._pack.manifest.name}-{kind}.npz"
        reference.unlink(missing_ok=True)
        found = {REFERENCE: self._reference.ask(self._effort.limit, do="check", kind=kind, reference=str(reference))}
        for name, side in self._sides.items():
            if name != REFERENCE:
                found[name] = side.ask(self._effort.limit, do="check", kind=kind, reference=str(reference))
        return {name: {**answer, "against": "ONNX Runtime CPU" if reference.is_file() and name != REFERENCE else "golden outputs"}
                for name, answer in found.items()}

    def _asked(self) -> dict[str, Any]:
        steps = {} if self._effort.steps is None else {"steps": self._effort.steps}
        if self._pack.manifest.refiner is not None:
            prior = {} if self._effort.steps is None else {"prior_steps": self._effort.steps}
            return {"prompt": PROMPT, **steps, **prior}
        picture = self._work / "picture.png"
        if not picture.is_file():
            write_picture(picture)
        return {"image": str(picture), **steps}


def sides_for(hardware: Hardware, origin: Mapping[str, str] | None, notes: Notes) -> list[str]:
    """What can take part here; the page says why the others cannot."""
    here = [name for name, side in SIDES.items() if side.gpu == bool(hardware.gpus) and (side.kind != "torch" or origin)]
    for side in SIDES.values():
        if side.gpu and not hardware.gpus:
            notes.leave_out(side.title, hardware.no_gpu or "no GPU")
        elif side.gpu == bool(hardware.gpus) and side.kind == "torch" and not origin:
            notes.leave_out(side.title, "neither --checkpoints nor --published was given")
    if not hardware.gpus:
        notes.leave_out("the card's rates, engines that are run, GPU memory", hardware.no_gpu or "no GPU")
    return here


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    args.work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MESHWRIGHT_CACHE", str(args.work / "cache"))
    hardware = detect_hardware()
    notes = Notes(args.work / "gpu.json", _fresh(hardware))
    effort = Effort((args.rounds, args.most), args.budget, args.limit, time.monotonic() + args.seconds, args.steps)
    for name in args.pack:
        pack = Pack.open(name)
        origin = _origin(args, pack)
        names = [side for side in sides_for(hardware, origin, notes) if not args.sides or side in args.sides]
        tasks = {side: Task(side, str(pack.folder), args.backend, origin, args.threads) for side in {*names, REFERENCE}}
        processes = {side: Process(task, args.work / f"{side}.log") for side, task in tasks.items()}
        try:
            sides = {side: processes[side] for side in names}
            Measuring(pack, notes, effort, sides, processes[REFERENCE], args.work, args.backend).run(
                ["run_all" if part == "run" else part for part in PARTS if part in args.parts])
        finally:
            for side, process in processes.items():
                process.close()
                if process.never is not None:
                    notes.leave_out(SIDES[side].title, process.never["failed"])
    report.Results(args.out, "gpu", notes.document, page, anew=True).save()
    plot(notes.document, args.out / "gpu.png")
    print(page(notes.document))


def _fresh(hardware: Hardware) -> dict[str, Any]:
    gpu = hardware.gpus[0] if hardware.gpus else None
    versions = {name: found for name in PACKAGES if (found := _version(name)) is not None}
    return {"date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"), "machine": report.machine(),
            "device": None if gpu is None else f"{gpu.name}, compute capability {gpu.compute_capability}, driver {hardware.driver}",
            "versions": versions, "peaks": None, "packs": {}, "left_out": {}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _origin(args: argparse.Namespace, pack: Pack) -> dict[str, str] | None:
    """What PyTorch's modules of this pack come from: the bundled pack was trained, the others have a published layout."""
    if pack.manifest.name == "props":
        return {"checkpoints": str(args.checkpoints)} if args.checkpoints else None
    return {"published": str(args.published), "size": args.size} if args.published else None


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", nargs="+", default=["props"], help="names or folders of packs")
    parser.add_argument("--work", type=Path, required=True, help="folder for engines, logs and what was measured so far")
    parser.add_argument("--checkpoints", type=Path, help="folder of the training checkpoints of the bundled pack, for PyTorch")
    parser.add_argument("--published", type=Path, help="folder of checkpoints in the published layouts, for PyTorch")
    parser.add_argument("--size", choices=("small", "full"), default="full", help="of the latter")
    parser.add_argument("--backend", choices=("tensorrt", "tensorrt-rtx"), help="of TensorRT (default: the first that is installed)")
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), help="only these")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--steps", type=int, help="of every loop (default: the pack's own)")
    parser.add_argument("--rounds", type=int, default=3, help="at least so many rounds of each measurement")
    parser.add_argument("--most", type=int, default=15, help="at most so many")
    parser.add_argument("--budget", type=float, default=6.0, help="seconds for the rounds of one measurement, about")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that one answer may take, a start or a compilation included")
    parser.add_argument("--seconds", type=float, default=540.0, help="after which nothing further is begun")
    parser.add_argument("--threads", type=int, help="of the CPU's sides")
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    args = parser.parse_args(arguments)
    for name in ("work", "out", "checkpoints", "published"):
        if getattr(args, name) is not None:
            setattr(args, name, getattr(args, name).resolve())
    return args


if __name__ == "__main__":
    main()

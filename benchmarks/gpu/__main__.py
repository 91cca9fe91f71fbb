"""Everything that is to be measured on a card, in the order of its worth, within six minutes.

    python -m benchmarks.gpu --packs DIR --work DIR [--seconds 360] [--out DIR] [--small] [--references]

DIR was filled by `benchmarks.gpu.skeletons fill`. Every side is a process of its own; they take turns in one run. A stage may take its
seconds and what those before it left over. Figures are kept when they are there: what gpu.json in --out holds is not measured again.
Without a card the processor's sides run. --references only computes the processor's results, which later runs compare with.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from meshwright.engines.machine.hardware import detect_hardware
from meshwright.engines.machine.products import PRODUCTS

from ..harness.command import CLI, run_command
from ..harness.plot import bar_chart
from ..harness.results import RESULTS, Results, machine
from ..harness.turns import interleaved
from ..harness.worker import Answer, Worker
from .page import bars_of, page
from .sides import REFERENCE, SIDES
from .skeletons import MODULES, PROPS

PROMPT = "a red chair with white legs"
SHARP_IT, INSTANTMESH = "sharp-it-fp16-compute", "instantmesh-fp16-compute"
# Seconds, pack, what is measured, and of which component.
STAGES = (
    (8, PROPS, "peaks", ""), (35, PROPS, "build", ""), (12, PROPS, "loop", "prior_step"), (20, PROPS, "loop", "refiner_step"),
    (8, PROPS, "step", "vae_decoder"), (10, PROPS, "step", "reconstructor"), (36, PROPS, "prompt", ""),
    (12, PROPS, "loop", "views_step"), (15, SHARP_IT, "build", "refiner_step"), (60, SHARP_IT, "loop", "refiner_step"),
    (42, INSTANTMESH, "loop", "views_step"), (14, SHARP_IT, "loop", "prior_step"), (14, SHARP_IT, "step", "reconstructor"),
    (64, SHARP_IT, "prompt", ""), (10, PROPS, "cold", ""))
PACKAGES = ("torch", "diffusers", "onnxruntime", "onnxruntime-gpu", "tensorrt-cu13", "tensorrt-rtx-cu13", "cuda-core")
# Seconds for one answer while sides take turns, and for the turns of one measurement.
LIMIT, TURNS = 30.0, 8.0


class Benchmark:
    """The stages, with the processes of one pack at a time."""

    def __init__(self, args: argparse.Namespace, sides: list[str]) -> None:
        self._args, self._sides, self._workers = args, sides, dict[tuple[str, str], Worker]()
        # A process ends with the thread that started it: these stay.
        self._threads = ThreadPoolExecutor(len(SIDES))

    def run(self, results: Results) -> None:
        """All stages that are not done yet."""
        deadline, figures = time.monotonic(), results.document["figures"]
        for seconds, pack, what, kind in STAGES:
            deadline += seconds * self._args.seconds / sum(stage[0] for stage in STAGES)
            item = f"{pack}: {what} {kind}".strip()
            known = item in figures and (not figures[item] or any("failed" not in answer for answer in figures[item].values()))
            if not known and (self._args.packs / MODULES / pack).is_dir():
                print(f"{item}, {deadline - time.monotonic():.0f} s", file=sys.stderr, flush=True)
                self.close(but=pack)
                figures[item] = getattr(self, f"_{what}")(pack, kind, deadline)
                results.save()

    def references(self) -> None:
        """The processor's results of every component that is measured by itself."""
        for _, pack, what, kind in STAGES:
            if what in ("loop", "step") and (self._args.packs / MODULES / pack).is_dir():
                self._check(pack, kind, [], time.monotonic() + self._args.seconds)

    def close(self, but: str = "") -> None:
        """End the processes of every other pack."""
        for pack, side in list(self._workers):
            if pack != but:
                self._workers.pop((pack, side)).close()

    def _peaks(self, pack: str, kind: str, deadline: float) -> dict[str, Answer]:
        sizes, side = {"side": 128, "copied": 1 << 20} if self._args.small else {"side": 8192, "copied": 1 << 30}, self._sides[0]
        return {side: self._worker(pack, side).ask(deadline - time.monotonic(), do="peaks", **sizes)}

    def _build(self, pack: str, kind: str, deadline: float) -> dict[str, Answer]:
        """TensorRT's engines."""
        product = next((each.name for each in PRODUCTS if each.is_installed), None) if "trt" in self._sides else None
        words = [*CLI, "build", self._folder(pack), "--backend", product, *(["--component", kind] if kind else [])]
        ended = run_command(words, limit=deadline - time.monotonic()) if product else None
        return {"trt": {"failed": ended.failure_message} if ended.code else {"seconds": ended.seconds}} if ended else {}

    def _prompt(self, pack: str, kind: str, deadline: float) -> dict[str, Answer]:
        asked = {"prompt": PROMPT} | ({"steps": 2, "prior_steps": 3} if self._args.small else {})
        # To compile a whole pipeline at full size takes minutes: the page adds its loops up.
        sides = [side for side in self._sides if pack == PROPS or side != "compiled"]
        return self._by_turns(pack, sides, {"do": "prompt", "asked": asked}, deadline, 0.0)

    def _loop(self, pack: str, kind: str, deadline: float) -> dict[str, Answer]:
        return self._step(pack, kind, deadline, do="loop", steps=4 if self._args.small else 8)

    def _step(self, pack: str, kind: str, deadline: float, **request: Any) -> dict[str, Answer]:
        found = self._by_turns(pack, self._sides, {"do": "step", "kind": kind, **request}, deadline, 100.0)
        ready = [side for side, answer in found.items() if "failed" not in answer]
        for side, check in self._check(pack, kind, ready, deadline).items():
            found[side]["check"] = check
        for side in [side for side in ready if SIDES[side].package == "torch"][:1]:
            found[side] |= self._worker(pack, side).ask(LIMIT, do="operations", kind=kind)
        return found

    def _cold(self, pack: str, kind: str, deadline: float) -> dict[str, Answer]:
        """A fresh process, as a user starts it."""
        with tempfile.TemporaryDirectory() as folder:
            ended = run_command([*CLI, "generate", PROMPT, "-o", f"{folder}/made.glb", "--pack", pack], limit=deadline - time.monotonic())
        told = {"failed": ended.failure_message} if ended.code else {"ms": [1000 * ended.seconds], "host_bytes": ended.peak_bytes}
        return {"meshwright generate": told}

    def _by_turns(self, pack: str, sides: list[str], request: dict[str, Any], deadline: float, repeat_ms: float) -> dict[str, Answer]:
        """All sides open, compile and warm up at once; then they take turns."""
        workers, limit = {side: self._worker(pack, side) for side in sides}, max(deadline - time.monotonic() - TURNS, 1.0)
        first = {**request, "repeat": 1} if repeat_ms else request
        cold = dict(zip(workers, self._threads.map(lambda worker: worker.ask(limit, **first), workers.values()), strict=True))
        ready, rounds = {side: workers[side] for side in workers if "failed" not in cold[side]}, (1, 1) if self._args.small else (3, 15)
        found = interleaved(ready, request, budget=TURNS, limit=LIMIT, fewest=rounds[0], most=rounds[1], repeat_ms=repeat_ms)
        return {side: {**found[side], "cold_ms": answer["ms"][0]} if side in found else answer for side, answer in cold.items()}

    def _check(self, pack: str, kind: str, sides: list[str], deadline: float) -> dict[str, Answer]:
        """How far the outputs are from the processor's, which are calculated here where they are not there yet."""
        request = {"do": "check", "kind": kind, "reference": str(path := self._args.work / f"reference-{pack}-{kind}.npz")}
        limit = max(deadline - time.monotonic(), 1.0)
        if not path.is_file() and "failed" in (answer := self._worker(pack, REFERENCE).ask(limit, **request)):
            return dict.fromkeys(sides, answer)
        return {side: self._worker(pack, side).ask(LIMIT, **request) for side in sides}

    def _worker(self, pack: str, side: str) -> Worker:
        log, words = self._args.work / f"{pack}-{side}.log", (side, self._folder(pack), str(self._args.packs / MODULES / pack))
        return self._workers.setdefault((pack, side), Worker("benchmarks.gpu.worker", *words, log=log))

    def _folder(self, pack: str) -> str:
        return pack if pack == PROPS else str(self._args.packs / pack)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    for name, text in (("--packs", "folder of the filled skeletons"), ("--work", "folder for engines, logs and the processor's results")):
        parser.add_argument(name, type=lambda text: Path(text).resolve(), required=True, help=text)
    parser.add_argument("--out", type=lambda text: Path(text).resolve(), default=RESULTS)
    parser.add_argument("--seconds", type=float, default=float(sum(stage[0] for stage in STAGES)), help="of all stages together")
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES), help="only these")
    parser.add_argument("--references", action="store_true", help="only the processor's results")
    parser.add_argument("--small", action="store_true", help="few steps and rounds: a rehearsal")
    args = parser.parse_args(arguments)
    args.work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MESHWRIGHT_CACHE", str(args.work / "cache"))
    gpu = next(iter((hardware := detect_hardware()).gpus), None)
    benchmark = Benchmark(args, [side for side in args.sides if SIDES[side].gpu == bool(gpu)])
    try:
        if args.references:
            return benchmark.references()
        device = gpu and f"{gpu.name}, compute capability {gpu.compute_capability}, driver {hardware.driver}"
        versions = {each.name: each.version for each in distributions() if each.name in PACKAGES}
        fresh = {"date": str(datetime.date.today()), "machine": machine(), "device": device, "versions": versions, "figures": {}}
        results = Results(args.out, "gpu", fresh, page, fixed=("device",))
        benchmark.run(results)
    finally:
        benchmark.close()
    title = f"{device or 'no GPU: on the processor'}, {results.document['date']}"
    bar_chart(args.out / "gpu.png", title, "ms, median", bars_of(results.document["figures"]))
    print(results.page())


if __name__ == "__main__":
    main()

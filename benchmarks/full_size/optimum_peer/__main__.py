"""The refiner's UNet by optimum-onnx and by us, side by side: `python -m benchmarks.full_size.optimum_peer --work DIR --peer PYTHON`.

What a Python user would take to run the published UNet on a processor: optimum-onnx exports it, diffusers' scheduler runs the loop. It
pins other versions of transformers and diffusers than we use, so PYTHON is that of an environment of its own (`pip install optimum-onnx
onnxruntime torch`). Both export the same checkpoint of random weights in a fresh process each; then the loops run on the same noise, by
turns, each time in a fresh process, so that both never share the memory. Writes optimum_peer.json and optimum_peer.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ...harness.command import ROOT, checked_command
from ...harness.results import RESULTS, Results, figure, gib, machine, table
from ...harness.worker import Worker
from ...latency.versions import linked
from .. import published
from ..configs import TOKENS
from ..sizes import SIZES, Sizes
from .side import GUIDANCE

SIDES = ("optimum", "ours")
MODULE = "benchmarks.full_size.optimum_peer.side"
PACKAGES = ("optimum", "optimum-onnx", "onnxruntime", "torch", "transformers", "diffusers")
ROWS = {"export, s": ("export", "seconds", ".1f"), "export, all cores, s": ("export", "processor", ".1f"),
        "export, peak memory, GiB": ("export", "peak_bytes", "gib"), "files, MB": ("export", "bytes", "mb"),
        "opening the file, s": ("loop", "opening", ".2f"), "first step, s": ("loop", "first", ".2f"),
        "a step, s": ("loop", "step", ".3f"), "a step, all cores, s": ("loop", "step_processor", ".3f"),
        "the loop, s": ("loop", "loop", ".2f"), "the loop, all cores, s": ("loop", "loop_processor", ".2f"),
        "peak memory, GiB": ("loop", "peak_bytes", "gib")}


def latent_of(view: int) -> tuple[int, int]:
    """Height and width of the latent picture of six views of so many pixels a side, two in a row."""
    return 3 * view // 8, 2 * view // 8


class Peer:
    """python : interpreter of each side; environment : for optimum's, in which our package is not installed"""

    def __init__(self, peer: Path, folder: Path, linked_package: Path) -> None:
        self.python = {"optimum": str(peer), "ours": sys.executable}
        self.environment = {"optimum": {"PYTHONPATH": str(linked_package)}, "ours": {}}
        self.file = {side: folder / side / "model.onnx" for side in SIDES}

    def export(self, side: str, checkpoint: Path, latent: tuple[int, int]) -> dict[str, float]:
        """In a fresh process."""
        file = self.file[side]
        ended = checked_command([self.python[side], "-m", MODULE, "export", side, checkpoint, file, *map(str, latent)],
                                environment=self.environment[side])
        size = sum(each.stat().st_size for each in file.parent.iterdir())
        return {"seconds": ended.seconds, "processor": ended.processor_seconds, "peak_bytes": ended.peak_bytes, "bytes": size}

    def loops(self, side: str, threads: int, steps: int, scratch: Path) -> dict[str, float]:
        """A fresh process: the file is opened, one step is made, and then the loop."""
        worker = Worker(MODULE, "serve", side, str(self.file[side]), str(threads), python=self.python[side],
                        environment=self.environment[side])
        request = {"do": "run", "inputs": str(scratch / "inputs.npz"), "made": str(scratch / f"{side}.npy")}
        try:
            first = worker.insist(**request, steps=1)
            loop = worker.insist(**request, steps=steps)
            assert worker.ready is not None
            return {"opening": worker.ready["ready"], "first": first["seconds"], "loop": loop["seconds"], "step": loop["seconds"] / steps,
                    "loop_processor": loop["processor"], "step_processor": loop["processor"] / steps, "peak_bytes": loop["peak_bytes"]}
        finally:
            worker.close()

    def packages(self, side: str) -> dict[str, str]:
        """Versions of those that are there."""
        code = ("import json, importlib.metadata as m\nfound = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
                f"print(' '.join(n + '=' + found[n] for n in {PACKAGES!r} if n in found))")
        output = checked_command([self.python[side], "-c", code]).output
        return dict(each.split("=", 1) for each in output.split())


def write_inputs(path: Path, sizes: Sizes, latent: tuple[int, int]) -> None:
    """What both loops start from."""
    rng = np.random.default_rng(0)
    arrays = {"latent": (1, 4, *latent), "coarse": (1, 4, *latent), "states": (2, TOKENS, sizes.text.width)}
    np.savez(path, **{name: rng.standard_normal(shape, np.float32) for name, shape in arrays.items()})


def measure(peer: Peer, results: Results, sizes: Sizes, args: argparse.Namespace) -> None:
    """What is not measured yet."""
    checkpoint = published.write(args.work / "published", sizes, ["Sharp-It"]) / "Sharp-It"
    latent, found = latent_of(results.document["view"]), results.document["sides"]
    for side in SIDES:
        found.setdefault(side, {"packages": peer.packages(side), "export": None, "loops": []})
    for side, kept in found.items():
        if kept["export"] is None or not peer.file[side].is_file():
            _say(f"{side}: export")
            kept["export"] = peer.export(side, checkpoint, latent)
            results.save()
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        write_inputs(Path(folder) / "inputs.npz", sizes, latent)
        while len(found[SIDES[-1]]["loops"]) < args.rounds:
            for side in SIDES:
                found[side]["loops"].append(peer.loops(side, args.threads, args.steps, Path(folder)))
                _say(f"{side}: {found[side]['loops'][-1]['loop']:.3g} s for the loop")
            made, wanted = (np.load(Path(folder) / f"{side}.npy") for side in reversed(SIDES))
            results.document["difference"] = float(np.abs(made - wanted).max() / np.abs(wanted).max())
            results.document["load"].append(os.getloadavg()[0])
            results.save()


def page(document: dict[str, Any]) -> str:
    """The Markdown page of the figures."""
    where, sides = document["machine"], document["sides"]
    parts = ["# The refiner's UNet by optimum-onnx and by us" + ("" if document["size"] == "full" else ", shrunk"),
             f"{where['processor']}, {where['cores']} cores, {document['threads']} threads; load "
             f"{', '.join(f'{load:.1f}' for load in document['load'])} after each round. Sharp-It's UNet with random weights, "
             f"six views of {document['view']} pixels a side; {document['steps']} steps of DDIM, guidance {GUIDANCE:g}, both halves of "
             f"guidance in one batch; one export each, then {document['rounds']} rounds by turns, medians. ONNX Runtime's CPU provider on "
             "both sides. optimum-onnx exports FP32, "
             "its default; ours stores the weights in FP16 and calculates in FP32. Our export is the UNet alone, without the comparison "
             "with PyTorch that `meshwright export` makes as well."]
    parts += [f"{side}: " + ", ".join(f"{name} {version}" for name, version in found["packages"].items()) + "." for side, found in
              sides.items()]
    rows = [[label, *(_shown(sides[side], *place) for side in SIDES), _share(sides, *place[:2])] for label, place in ROWS.items()]
    parts += [table(["", *SIDES, "share"], rows)]
    if document.get("difference") is not None:
        parts += [f"Largest difference of the latents at the end: {document['difference']:.1e} of their largest."]
    return "\n\n".join([*parts, *document.get("notes", [])])


def _value(found: dict[str, Any], what: str, key: str) -> float | None:
    if what == "export":
        return found["export"] and found["export"][key]
    return median(loop[key] for loop in found["loops"]) if found["loops"] else None


def _shown(found: dict[str, Any], what: str, key: str, form: str) -> str:
    value = _value(found, what, key)
    return gib(value) if form == "gib" else figure(value, ".1f", 1e6) if form == "mb" else figure(value, form)


def _share(sides: dict[str, Any], what: str, key: str) -> str:
    theirs, ours = (_value(sides[side], what, key) for side in SIDES)
    return "-" if theirs is None or ours is None else f"{ours / theirs:.2f}"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint and the exports (7 GB at full size)")
    parser.add_argument("--peer", type=Path, required=True, help="Python of the environment with optimum-onnx")
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--view", type=int, metavar="PIXELS", help="side of each of the six views (default: as published)")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--note", action="append", default=[], help="a sentence for the page")
    parser.add_argument("--out", type=Path, help="folder of the figures (default: the results here, or --work at the small size)")
    args = parser.parse_args(arguments)
    args.work, args.peer = args.work.resolve(), args.peer.absolute()  # the interpreter of an environment is a link
    fresh = {"size": args.size, "view": args.view or SIZES[args.size].view, "threads": args.threads, "steps": args.steps,
             "rounds": args.rounds, "machine": machine(), "sides": {}, "load": []}
    results = Results(args.out or (RESULTS if args.size == "full" else args.work), "optimum_peer", fresh, page,
                      fixed=("size", "view", "threads", "steps"))
    results.note(args.note)
    (args.work / "published").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        measure(Peer(args.peer, args.work, linked(ROOT, Path(folder) / "package")), results, SIZES[args.size], args)
    print(results.page())


if __name__ == "__main__":
    main()

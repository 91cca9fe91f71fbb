"""How long a prompt and a picture take, beside the same pipeline in PyTorch eager mode, in one run.

    python -m benchmarks.latency --pack props --checkpoints DIR

Two processes, one a side, take turns: a round is one prompt on our runtime, then the same prompt and seed on PyTorch;
then, for packs that take pictures, the same with a rendered photo of 512 pixels. Both run the same recipe with the same
weights, steps and threads (`harness.eager`), so meshes and textures are made by the same code and only the networks differ; the
one that cuts objects out is no component of a pack, runs on ONNX Runtime on both sides, and is left out of the networks'
sum. The first prompt of a fresh process is the cold figure, and so is the first picture, by when what both need is open;
the others are warm. Memory is the largest resident set of the process during a stage. At the end both sides replay the
pack's golden inputs, which shows that they compute the same. Without --checkpoints only our side runs: a pack's graphs
hold the weights folded, not as PyTorch's modules take them.

Also: from the start of a fresh process to the GLB on disk, the import, and with --installed the size of a fresh
environment that holds the runtime alone. Writes latency.json and latency.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from meshwright.export.props.world.photos import random_photo
from meshwright.runtime.pack.pack import Pack

from ..harness.command import ROOT
from ..harness.results import RESULTS, VERDICTS, Results, figure, machine, table
from ..harness.worker import Worker
from .start import import_seconds, installed_size, start_to_glb

MODULE = "benchmarks.latency.side"
PROMPTS = ("a red chair with white legs", "a small yellow car", "a stone tower with a blue roof", "a green bottle",
           "a wooden table", "a purple rocket with orange fins", "a round tree", "a gray robot")
PHOTO_SEED, PHOTO_SIZE = 10_400_000, 512
SIDES = {"runtime": "meshwright", "eager": "PyTorch eager"}
WARM, SHARE = "warm {} to GLB, s", "{}: network time, share of PyTorch eager"
MOST = {WARM.format("prompt"): 5.0, SHARE.format("prompt"): 0.7, WARM.format("picture"): 6.0, SHARE.format("picture"): 0.7,
        "cutting the object out, s": 0.3, "process start to GLB, s": 10.0, "import meshwright.runtime, s": 0.3,
        "resident memory, MB": 1536.0, "installed without extras, MB": 400.0}


def measure(pack: str, threads: int, checkpoints: Path | None, tasks: dict[str, list[dict]]) -> dict[str, dict]:
    """side -> {"start", "golden", "runs": task -> {"cold" run, "warm" runs}}; the sides take turns.

    tasks : "prompt" and "picture" -> the options of each of their rounds
    """
    sides = {"runtime": Worker(MODULE, "runtime", pack, str(threads))}
    if checkpoints:
        sides["eager"] = Worker(MODULE, "eager", pack, str(threads), str(checkpoints))
    runs: dict[str, dict[str, list[dict]]] = {name: {task: [] for task in tasks} for name in sides}
    try:
        for number, options in enumerate(zip(*tasks.values(), strict=True)):
            for task, asked in zip(tasks, options, strict=True):
                for name, side in sides.items():
                    runs[name][task].append(side.insist(do="run", **asked))
                    print(f"round {number} {task} {SIDES[name]}: {runs[name][task][-1]['total']:.2f} s", file=sys.stderr, flush=True)
        return {name: {"start": side.ready, "golden": side.insist(do="verify"),
                       "runs": {task: {"cold": found[0], "warm": found[1:]} for task, found in runs[name].items()}}
                for name, side in sides.items()}
    finally:
        for side in sides.values():
            side.close()


def tasks_of(pack: Pack, rounds: int, folder: Path) -> dict[str, list[dict]]:
    """The prompts, and for a pack that takes them the pictures, which are written to `folder`; the first of each is the cold one."""
    seeds = range(rounds + 1)
    tasks = {"prompt": [{"seed": seed, "prompt": PROMPTS[seed % len(PROMPTS)]} for seed in seeds]}
    if pack.manifest.picture is not None:
        files = [folder / f"{seed}.png" for seed in seeds]
        for seed, file in zip(seeds, files, strict=True):
            Image.fromarray(random_photo(PHOTO_SEED + seed, PHOTO_SIZE)[0]).save(file)
        tasks["picture"] = [{"seed": seed, "image": str(file)} for seed, file in zip(seeds, files, strict=True)]
    return tasks


def stages(found: dict) -> dict[str, dict]:
    """stage -> cold, median, p90 (seconds) and peak memory (MB) of one side at one task; "total" last."""
    every = [found["cold"], *found["warm"]]
    names = list(found["cold"]["stages"])
    by_stage = {name: _figures(found["cold"]["stages"][name], [run["stages"][name] for run in found["warm"]])
             | {"memory": max(run["memory"][name] for run in every)} for name in names}
    total = _figures(found["cold"]["total"], [run["total"] for run in found["warm"]])
    return by_stage | {"total": total | {"memory": max(figures["memory"] for figures in by_stage.values())}}


def networks(found: dict) -> dict[str, float]:
    """component -> median warm seconds of one side at one task; "all" is the median of the sums."""
    runs = [run["networks"] for run in found["warm"]]
    single = {kind: median(run[kind] for run in runs) for kind in runs[0]}
    return single | {"all": median(sum(run.values()) for run in runs)}


def by_task(found: dict[str, dict], figures: Callable[[dict], dict]) -> dict[str, dict[str, dict]]:
    """task -> side -> `figures` of its runs."""
    return {task: {side: figures(each["runs"][task]) for side, each in found.items()} for task in found["runtime"]["runs"]}


def _figures(cold: float, warm: list[float]) -> dict[str, float]:
    return {"cold": cold, "median": float(np.median(warm)), "p90": float(np.percentile(warm, 90))}


def bars(found: dict[str, dict], start: dict, installed: dict | None) -> list[dict]:
    """Each figure beside the most that it may be; None where it was not measured."""
    ours = found["runtime"]["runs"]
    values: dict[str, float] = {"process start to GLB, s": start["seconds"], "import meshwright.runtime, s": start["import"],
                                "resident memory, MB": max(start["memory"], *(stages(runs)["total"]["memory"] for runs in ours.values()))}
    for task, runs in ours.items():
        values[WARM.format(task)] = stages(runs)["total"]["median"]
        if "eager" in found:
            values[SHARE.format(task)] = networks(runs)["all"] / networks(found["eager"]["runs"][task])["all"]
    if "picture" in ours:
        values["cutting the object out, s"] = median(run["matting"] for run in ours["picture"]["warm"])
    if installed:
        values["installed without extras, MB"] = installed["megabytes"]
    return [{"measure": name, "most": most, "value": values.get(name), "met": values[name] <= most if name in values else None}
            for name, most in MOST.items()]


def page(document: dict) -> str:
    """The Markdown page of the figures."""
    rows = [[b["measure"], f"{b['most']:g}", figure(b["value"], ".3g"), VERDICTS[b["met"]]] for b in document["bars"]]
    where = document["machine"]
    parts = ["# Latency", f"{where['processor']}, {where['cores']} cores, {document['threads']} threads; pack "
             f"{document['pack']['name']} {document['pack']['sha256'][:16]}; {document['rounds']} warm rounds.",
             table(["measure", "at most", "measured", ""], rows)]
    for task, sides in document["stages"].items():
        for side, figures in sides.items():
            parts += [f"## A {task}, {SIDES[side]}: seconds and peak memory of each stage", _stage_table(figures)]
        parts += [f"## A {task}, networks alone: median warm seconds", _network_table(document["networks"][task])]
    return "\n\n".join([*parts, _footer(document)])


def _stage_table(figures: dict[str, dict]) -> str:
    columns = ("cold", "median", "p90")
    rows = [[name, *(f"{row[c]:.3f}" for c in columns), f"{row['memory']:.0f}"] for name, row in figures.items()]
    return table(["stage", "cold, s", "warm median, s", "warm p90, s", "peak memory, MB"], rows)


def _network_table(found: dict[str, dict[str, float]]) -> str:
    sides = list(found)
    rows = []
    for kind, ours in found["runtime"].items():
        seconds = [found[side].get(kind) for side in sides]
        share = [f"{ours / seconds[1]:.2f}"] if len(seconds) == 2 and seconds[1] else ["-"]
        rows.append([kind, *(figure(s, ".4f") for s in seconds), *share])
    return table(["component", *(SIDES[side] for side in sides), "share"], rows)


def _footer(document: dict) -> str:
    start, installed = document["start"], document["installed"]
    lines = [f"A fresh process took {start['seconds']:.2f} s to the GLB; at most {start['memory']:.0f} MB resident."]
    for side, golden in document["golden"].items():
        lines.append(f"{SIDES[side]}: golden inputs replayed, largest relative error "
                     f"{max(golden['relative'].values()):.1e}, {'passed' if golden['passed'] else 'FAILED'}.")
    if installed:
        lines.append(f"Training packages in the fresh environment: {', '.join(installed['training']) or 'none'}.")
    return "\n\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    pack = Pack.open(args.pack)
    start = start_to_glb(args.pack, PROMPTS[0], args.starts) | {"import": import_seconds()}
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.pack, args.threads, args.checkpoints, tasks_of(pack, args.rounds, Path(folder)))
    installed = installed_size(ROOT) if args.installed else None
    document = {
        "pack": {"name": pack.manifest.name, "sha256": pack.hash}, "machine": machine(),
        "threads": args.threads, "rounds": args.rounds, "bars": bars(found, start, installed),
        "stages": by_task(found, stages), "networks": by_task(found, networks), "start": start, "installed": installed,
        "opening": {side: runs["start"] for side, runs in found.items()},
        "golden": {side: runs["golden"] for side, runs in found.items()}}
    results = Results(args.out, "latency", document, page, anew=True)
    results.save()
    print(results.page())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props", help="name or folder of the pack")
    parser.add_argument("--checkpoints", type=Path, help="folder of the training checkpoints, for the PyTorch side")
    parser.add_argument("--rounds", type=int, default=8, help="warm rounds")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes; the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--installed", action="store_true", help="also install into a fresh environment (needs pip)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

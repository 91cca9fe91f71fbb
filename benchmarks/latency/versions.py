"""An older commit beside this checkout, in one run: `python -m benchmarks.latency.versions --before COMMIT`.

The older one is checked out into a worktree, in the same environment, which must have what both versions need. For each number of
threads (1, 2 and 4, where there are as many cores) two processes, one a version, take turns: the same prompt and seed, then the same
rendered photo. The first round is left out. Then the two make prompts again, for what their textures are like; the command line is
started anew by turns, and with large textures where --large says so. On a machine that is busy with other things, processor seconds (of
all cores, child processes included) say more than those of the clock. Writes speed.json and speed.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from statistics import mean, median

from ..harness.command import ROOT
from ..harness.results import RESULTS, Results, figure, machine, table
from ..harness.worker import Worker
from .__main__ import PROMPTS, tasks_of
from .start import start_to_glb
from .texture_memory import measured

SIDES = ("before", "after")
BARS = {"prompt": 0.6, "picture": 0.6, "cold": 0.65}  # largest share of the time before
MEASURES = {"density": "texels per unit", "worst": "worst 5 %, texels per unit", "seams": "seams, units",
            "overlap": "overlap, share of texels", "filled": "share of the texture in use", "vertices": "vertices",
            "color error": "colour error, of 255"}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder to put on PYTHONPATH, in which `meshwright` is that commit; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            require_all((tree / "pyproject.toml").read_text("utf-8"))
            yield linked(tree, Path(folder) / "before")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def missing_requirements(project: str) -> list[str]:
    """What a version's `pyproject.toml`, given as text, needs and this environment lacks: without it a version does something else, such
    as an unwrap of a worse kind.
    """
    from packaging.requirements import Requirement

    found = []
    for text in tomllib.loads(project)["project"]["dependencies"]:
        needed = Requirement(text)
        try:
            there = needed.specifier.contains(metadata.version(needed.name), prereleases=True)
        except metadata.PackageNotFoundError:
            there = False
        if not there:
            found.append(text)
    return found


def require_all(project: str) -> None:
    """SystemExit where this environment lacks something that a version needs. project : as `missing_requirements`"""
    if missing := missing_requirements(project):
        raise SystemExit("a version would not run as it is meant to without " + ", ".join(missing)
                         + "\npip install " + " ".join(f'"{text}"' for text in missing))


def linked(tree: Path, folder: Path) -> Path:
    """`folder`, with a `meshwright` in it that leads to a checkout."""
    package = folder / "meshwright"
    package.mkdir(parents=True)
    for half in ("engines", "runtime", "export"):
        (package / half).symlink_to(tree / half)
    return folder


def measure_warm(paths: dict[str, Path], threads: int, tasks: dict[str, list[dict]], pack: str) -> dict[str, dict[str, list[dict]]]:
    """task -> side -> its runs, the first left out. paths : side -> PYTHONPATH"""
    sides = {name: Worker("benchmarks.latency.version_side", pack, str(threads), environment={"PYTHONPATH": str(path)})
             for name, path in paths.items()}
    found: dict[str, dict[str, list[dict]]] = {task: {name: [] for name in sides} for task in tasks}
    try:
        for number, options in enumerate(zip(*tasks.values(), strict=True)):
            for task, asked in zip(tasks, options, strict=True):
                for name, side in sides.items():
                    run = side.insist(do="run", **asked)
                    if number:
                        found[task][name].append(run)
                    print(f"{threads} threads, round {number}, {task}, {name}: {run['seconds']:.2f} s, {run['processor']:.2f} s of cores",
                          file=sys.stderr, flush=True)
    finally:
        for side in sides.values():
            side.close()
    return found


def measure_cold(paths: dict[str, Path], pack: str, times: int) -> dict[str, list[dict]]:
    """side -> seconds from the start of a process to the GLB, the sides by turns. Modules are compiled before, as pip does it."""
    found: dict[str, list[dict]] = {name: [] for name in paths}
    with tempfile.TemporaryDirectory() as compiled:
        for number in range(1 + times):
            for name, path in paths.items():
                run = start_to_glb(pack, PROMPTS[0], 1, {"PYTHONPATH": str(path), "PYTHONPYCACHEPREFIX": compiled,
                                                         "PYTHONDONTWRITEBYTECODE": ""})
                if number:
                    found[name].append(run)
    return found


def ratio(found: dict[str, list[dict]], measure: str) -> dict[str, float]:
    """Medians of both sides, and the median over the rounds of after / before."""
    pairs = [(one[measure], other[measure]) for one, other in zip(found["before"], found["after"], strict=True)]
    return {"before": median(one for one, _ in pairs), "after": median(other for _, other in pairs),
            "share": median(other / one for one, other in pairs)}


def summary(document: dict) -> list[dict]:
    """A row for each task, number of threads and clock: before, after, share, and the bar where there is one."""
    rows = []
    for threads, tasks in document["warm"].items():
        for task, found in tasks.items():
            for measure in ("seconds", "processor"):
                rows.append({"task": f"warm {task}", "threads": int(threads), "measure": measure, **ratio(found, measure),
                             "bar": BARS[task]})
    for measure in ("seconds", "processor"):
        rows.append({"task": "process start to GLB", "threads": document["machine"]["cores"], "measure": measure,
                     **ratio(document["cold"], measure), "bar": BARS["cold"]})
    return rows


def page(document: dict) -> str:
    """The Markdown page of the figures."""
    where, clocks = document["machine"], {"seconds": "clock", "processor": "all cores"}
    rows = [[row["task"], str(row["threads"]), clocks[row["measure"]], figure(row["before"]), figure(row["after"]),
             figure(row["share"], ".2f"), f"{row['bar']:g}"] for row in document["summary"]]
    low, high = document["load"]
    parts = ["# Speed: before and after",
             f"{where['processor']}, {where['cores']} cores, load {low:.1f} at the start and {high:.1f} at the end; before is "
             f"commit {document['before']}. Medians of {document['rounds']} rounds, by turns in one run; the share is the median of "
             "after / before. \"Clock\" is what a user waits on such a machine, \"all cores\" what the processor worked.",
             table(["", "threads", "seconds", "before", "after", "share", "bar"], rows)]
    for threads, tasks in document["warm"].items():
        for task, found in tasks.items():
            parts += [f"## A warm {task} with {threads} threads: median seconds of each stage", _stages(found)]
    quality = document["quality"]
    kept = [[label, *(figure(mean(each[key] for each in quality[name]), ".4g") for name in SIDES)] for key, label in MEASURES.items()]
    parts += [f"## Textures of {len(quality['before'])} prompts", table(["mean", *SIDES], kept)]
    if document["large"]:
        rows = [[f"{run['side']}, {run['texture']}", *(f"{run[key]:g}" for key in ("seconds", "processor_seconds", "peak_mb"))]
                for run in document["large"]]
        heading = ["", "clock, s", "all cores, s", "peak memory, MB"]
        parts += ["## Large textures, from the start of a process to the GLB", "One run each, one after the other.", table(heading, rows)]
    return "\n\n".join(parts)


def _stages(found: dict[str, list[dict]]) -> str:
    medians = {name: {stage: median(run["stages"][stage] for run in runs) for stage in runs[0]["stages"]} for name, runs in found.items()}
    rows = [[stage, *(figure(medians[name][stage]) for name in SIDES)] for stage in medians["after"]]
    return table(["stage", *SIDES], rows)


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    require_all((ROOT / "pyproject.toml").read_text("utf-8"))
    document = {"before": args.before, "machine": machine(), "rounds": args.rounds, "pack": args.pack, "warm": {}, "large": [],
                "load": [os.getloadavg()[0]]}
    from meshwright.runtime.pack.pack import Pack

    with checked_out(args.before) as before, tempfile.TemporaryDirectory() as folder:
        paths = {"before": before, "after": linked(ROOT, Path(folder) / "after")}
        tasks = tasks_of(Pack.open(args.pack), args.rounds, Path(folder))
        for threads in args.threads:
            document["warm"][str(threads)] = measure_warm(paths, threads, tasks, args.pack)
        looked = {"prompt": [options | {"quality": True} for options in tasks_of(Pack.open(args.pack), args.props, Path(folder))["prompt"]]}
        document["quality"] = {name: [run["quality"] for run in runs]
                               for name, runs in measure_warm(paths, args.threads[-1], looked, args.pack)["prompt"].items()}
        document["cold"] = measure_cold(paths, args.pack, args.starts)
        for side, size in args.large:
            document["large"].append({"side": side, **measured(size, "field", {"PYTHONPATH": str(paths[side])})})
    document["load"].append(os.getloadavg()[0])
    document["summary"] = summary(document)
    Results(args.out, "speed", document, page, anew=True).save()
    print(page(document))


def _side_and_size(text: str) -> tuple[str, int]:
    side, _, size = text.partition(":")
    if side not in SIDES:
        raise argparse.ArgumentTypeError(f"{text!r} is not SIDE:PIXELS")
    return side, int(size)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", required=True, metavar="COMMIT")
    parser.add_argument("--pack", default="props", help="name or folder of the pack, which both must read")
    parser.add_argument("--threads", type=int, nargs="+", default=[count for count in (1, 2, 4) if count <= (os.cpu_count() or 1)])
    parser.add_argument("--rounds", type=int, default=8, help="warm rounds")
    parser.add_argument("--starts", type=int, default=5, help="fresh processes")
    parser.add_argument("--props", type=int, default=12, help="prompts whose textures are looked at")
    parser.add_argument("--large", type=_side_and_size, nargs="*", default=[], metavar="SIDE:PIXELS", help="such as after:8192")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

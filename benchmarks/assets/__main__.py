"""Seconds and sizes of each step of an asset, errors of levels and hulls, and what `lint` says.

    python -m benchmarks.assets [--meshes FOLDER] [--out FOLDER] [--fresh] [--only prompts|meshes]

For 20 held-out prompts, and for the mesh files of FOLDER, which `meshes_in_blender.py` makes. The preset is Unreal's, which asks for the
most: three further levels, and convex parts. What the other presets make of the prompts, by turns, is linted too. Writes assets.json and
assets.md; goes on where a stopped run ended, unless it is to begin anew.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meshwright.runtime import Asset, Pipeline, finish, lint
from meshwright.runtime.assets.lint import worst
from meshwright.runtime.assets.presets import PRESETS

from ..harness.results import RESULTS, Results, machine
from ..quality.prompts import held_out

ENGINE, PROMPTS, SEED = "unreal", 20, 0
SOURCES = {"prompts": "held-out prompts", "meshes": "meshes from elsewhere"}


def measured(asset: Asset, folder: Path) -> dict[str, Any]:
    """What an asset is, and what its files are."""
    files = asset.save(folder / "thing.glb")
    verdicts = [verdict for path in files for verdict in lint(path)]
    found = {"asset": asset.describe(), "bytes": {path.name.removeprefix("thing"): path.stat().st_size for path in files},
             "lint": worst(verdicts), "said": sorted({v.check for v in verdicts if v.severity in ("warning", "error")}),
             "notices": list(asset.notices)}
    for path in files:
        path.unlink()
    return found


def page(document: dict[str, Any]) -> str:
    """The Markdown of the figures."""
    host = document["machine"]
    lines = ["# Assets", "", f"`python -m benchmarks.assets`: preset `{ENGINE}`, one process, on {host['processor']} ({host['cores']}"
             " cores). Errors are shares of the longest side.", ""]
    for kind, title in SOURCES.items():
        if cases := list(document[kind].values()):
            lines += [f"## {len(cases)} {title}", "", "| figure | median | worst |", "|---|---|---|", *_rows(cases), "",
                      *_said(document[kind]), ""]
    return "\n".join(lines)


def _rows(cases: Sequence[dict[str, Any]]) -> list[str]:
    rows = []
    assets, hulls = [case["asset"] for case in cases], [case["asset"]["collision"] for case in cases]
    rows += _row("from the prompt to the dense mesh, s", [case["generate"] for case in cases if "generate" in case], "{:.2f}")
    for step in ("repair", "level 0", "level 1", "level 2", "level 3", "collision"):
        rows += _row(f"{step}, s", [asset["seconds"][step] for asset in assets if step in asset["seconds"]], "{:.2f}")
    rows += _row("all steps of the asset, s", [sum(asset["seconds"].values()) for asset in assets], "{:.2f}")
    for suffix in sorted({suffix for case in cases for suffix in case["bytes"]}):
        rows += _row(f"`NAME{suffix}`, kB", [case["bytes"][suffix] / 1000 for case in cases if suffix in case["bytes"]], "{:.0f}")
    rows += _row("all files, kB", [sum(case["bytes"].values()) / 1000 for case in cases], "{:.0f}")
    for number in range(4):
        rows += _level_rows(number, [asset["levels"] for asset in assets if number < len(asset["levels"])])
    rows += _row("hulls", [hull["count"] for hull in hulls], "{:.0f}")
    rows += _row("hulls, mean distance from the surface", [hull["error"]["mean"] for hull in hulls], "{:.4f}")
    for side in ("missing", "extra"):
        rows += _row(f"hulls, {side} volume", [hull["volume"][side] for hull in hulls if hull["volume"]], "{:.3f}")
    for method in sorted({hull["method"] for hull in hulls}):
        rows.append(f"| made by {method} | {sum(hull['method'] == method for hull in hulls)} | |")
    for severity in ("ok", "note", "warning", "error"):
        rows.append(f"| lint: {severity} | {sum(case['lint'] == severity for case in cases)} | |")
    for engine in sorted({case["other"]["for"] for case in cases if "other" in case}):
        found = [case["other"]["lint"] for case in cases if case.get("other", {}).get("for") == engine]
        rows.append(f"| lint of `--for {engine}`: ok or note | {sum(each in ('ok', 'note') for each in found)} of {len(found)} | |")
    return rows


def _said(cases: dict[str, dict[str, Any]]) -> list[str]:
    """Which checks gave a warning or an error."""
    found = [f"- {name}: {', '.join(case['said'])}" for name, case in cases.items() if case["said"]]
    found += [f"- {name}, `--for {case['other']['for']}`: {', '.join(case['other']['said'])}" for name, case in cases.items()
              if case.get("other", {}).get("said")]
    return ["Warnings and errors of `lint`:", "", *found] if found else ["`lint` gave no warning and no error."]


def _level_rows(number: int, assets: Sequence[list[dict[str, Any]]]) -> list[str]:
    """assets : the levels of those that have so many"""
    if not assets:
        return []
    closed = [levels[number]["watertight"] for levels in assets if levels[0]["watertight"]]
    return [*_row(f"level {number}, triangles", [levels[number]["triangles"] for levels in assets], "{:,.0f}"),
            *_row(f"level {number}, largest error", [levels[number]["error"]["largest"] for levels in assets], "{:.4f}"),
            f"| level {number}, closed where level 0 is | {sum(closed)} of {len(closed)} | |"]


def _row(name: str, values: Sequence[float], form: str) -> list[str]:
    return [f"| {name} | {form.format(statistics.median(values))} | {form.format(max(values))} |"] if values else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meshes", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--only", choices=tuple(SOURCES), help="the other part was made, or comes later")
    args = parser.parse_args()
    results = Results(args.out, "assets", {"machine": machine(), "prompts": {}, "meshes": {}}, page, anew=args.fresh)
    with tempfile.TemporaryDirectory() as folder, Pipeline.open("props", threads=1) as pipeline:
        for number, prompt in enumerate(held_out(PROMPTS) if args.only != "meshes" else ()):
            if prompt.text not in results.document["prompts"]:
                results.document["prompts"][prompt.text] = _of_prompt(pipeline, number, prompt.text, Path(folder))
                results.save()
        given = [] if args.meshes is None or args.only == "prompts" else sorted(args.meshes.iterdir())
        for path in [path for path in given if path.suffix in (".glb", ".obj")]:
            if path.name not in results.document["meshes"]:
                results.document["meshes"][path.name] = _of_mesh(path, Path(folder))
                results.save()


def _of_prompt(pipeline: Pipeline, number: int, text: str, folder: Path) -> dict[str, Any]:
    options = PRESETS[ENGINE]
    made = pipeline.generate(text, seed=SEED, faces=options.faces, texture=options.texture)
    found = {**measured(made.asset(options, made_for=ENGINE), folder), "generate": made.timings["total"]}
    others = [engine for engine in PRESETS if engine != ENGINE]
    other = others[number % len(others)]
    seen = measured(made.asset(PRESETS[other], made_for=other), folder)
    return {**found, "other": {"for": other, "lint": seen["lint"], "said": seen["said"]}}


def _of_mesh(path: Path, folder: Path) -> dict[str, Any]:
    seconds: dict[str, float] = {}

    def note(name: str, taken: float | None) -> None:
        if taken is not None:
            seconds[name] = taken

    found = measured(finish(path, PRESETS[ENGINE], made_for=ENGINE, on_step=note), folder)
    found["asset"]["seconds"] = seconds
    return found


if __name__ == "__main__":
    main()

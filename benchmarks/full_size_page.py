"""The full-size benchmark as a Markdown page."""

from __future__ import annotations

from typing import Any

from . import report

# The bars of the issue, in GiB: an export, and a run that holds one large file at a time.
EXPORT_LIMIT, RUN_LIMIT = 14, 12


def page(document: dict[str, Any]) -> str:
    """`document` as `full_size` keeps it."""
    where = document["machine"]
    parts = ["# The published models at full size" if document["size"] == "full" else "# The published models, shrunk",
             f"{where['processor']}, {where['cores']} cores, {document['threads']} threads. Random weights in the published files' shapes "
             "and formats (`python -m benchmarks.published`). Both sides of a component ran by turns on the same inputs, in processes of "
             "their own; the median of the rounds counts. PyTorch runs eager, in FP32. Memory is the largest resident set, "
             "pages of mapped files included.", *document.get("notes", [])]
    for name, found in document["packs"].items():
        parts += [f"## {name}", _export_line(found["export"]), _component_table(found), *_slower(found), *_run_part(found)]
    return "\n\n".join(part for part in parts if part)


def gib(count: float | None) -> str:
    return "-" if not count else f"{count / (1 << 30):.2f}"


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
    return report.table(["component", "parameters", "file, MB", "relative error", "export, s", "export peak, GiB", "ONNX Runtime, s",
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
    return ["A run from start to GLB with 2 steps a loop, for each value of `--memory`:", report.table(heading, rows),
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

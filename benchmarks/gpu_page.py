"""The GPU benchmark as a Markdown page, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from .gpu_sides import SIDES
from .gpu_summary import bars, fastest, figures, ratio, shares
from .harness import results as report

VERDICTS = {True: "met", False: "MISSED", None: "not measured"}


def page(document: Mapping[str, Any]) -> str:
    """`document` as `gpu` keeps it."""
    where, versions = document["machine"], ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    device = document["device"] or "NO GPU: everything below ran on the processor, and says nothing of a GPU"
    parts = ["# On a GPU" if document["device"] else "# The GPU benchmark, without a GPU",
             f"{document['date']}. {device}. {where['processor']}, {where['cores']} cores, Python {where['python']}; {versions}.",
             "`python -m benchmarks.gpu`. The sides of a table took turns in one run, each in a process of its own. ms are medians, p90 in "
             "brackets; of the GPU's events for components and loops, of the clock end to end. Shares are of PyTorch eager's median.",
             *_peaks(document.get("peaks"))]
    for name, pack in document["packs"].items():
        parts += [f"## {name}", *_pack(pack, document.get("peaks"))]
    return "\n\n".join([*parts, *_left_out(document["left_out"])])


def _peaks(peaks: Mapping[str, Any] | None) -> list[str]:
    if not peaks:
        return []
    if "failed" in peaks:
        return [f"The card's rates could not be measured: {peaks['failed']}"]
    matrix = (f"{peaks['matrix_flops'] / 1e12:.0f} TFLOP/s in FP16 (a product of side {peaks['matrix_side']})" if peaks["matrix_flops"]
              else f"not measured ({peaks['why_not']})")
    return [f"The card's measured rates: matrix products {matrix}; copies {peaks['copy_bytes'] / 1e12:.2f} TB/s, read and written."]


def _pack(pack: Mapping[str, Any], peaks: Mapping[str, Any] | None) -> list[str]:
    rows = [[bar["measure"], bar["bar"], "-" if bar["value"] is None else f"{bar['value']:.3g}", VERDICTS[bar["met"]]]
            for bar in bars(pack, peaks)]
    parts = [report.table(["measure", "bar", "measured", ""], rows)]
    for part, title in (("run", "End to end, request to GLB"), ("loop", "Loops"), ("step", "Components, one evaluation")):
        if pack.get(part):
            parts += [f"### {title}", _times(pack[part])]
    for title, made in (("The largest relative error of each component", _errors(pack.get("check", {}))),
                        ("Shares of the card's rates", _shares(pack, peaks)), ("Stages, median s", _stages(pack.get("run", {}))),
                        ("Engines", _engines(pack.get("build", {}).get("engines"))), ("Fresh process, memory", _memory(pack))):
        if made:
            parts += [f"### {title}", made]
    return [*parts, *_failures(pack)]


def _sides(items: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name in SIDES if any(name in measured for measured in items.values())]


def _times(items: Mapping[str, Mapping[str, Any]]) -> str:
    """One row an item, one column a side: median (p90), and the share of PyTorch eager's."""
    sides = _sides(items)
    base = next((name for name in ("eager", "eager-cpu") if name in sides), None)
    return report.table(["ms", *(SIDES[name].title for name in sides)],
                        [[item, *(_time(measured, name, base) for name in sides)] for item, measured in items.items()])


def _time(measured: Mapping[str, Any], side: str, base: str | None) -> str:
    found = figures(measured.get(side, {"failed": ""}))
    if found is None:
        return "failed" if side in measured else "-"
    share = ratio(measured, side, base) if base and side != base else None
    return f"{found['median']:.4g} ({found['p90']:.4g})" + ("" if share is None else f", x {share:.2f}")


def _errors(items: Mapping[str, Mapping[str, Any]]) -> str:
    sides = _sides(items)
    rows = []
    for kind, measured in items.items():
        cells = [_error(measured.get(name, {})) for name in sides]
        against = {found["against"] for name, found in measured.items() if name != "ort-cpu"} or {"golden outputs"}
        rows.append([kind, " and ".join(sorted(against)), *cells])
    return report.table(["component", "against", *(SIDES[name].title for name in sides)], rows) if rows else ""


def _error(found: Mapping[str, Any]) -> str:
    if "relative" not in found:
        return "failed" if found else "-"
    return f"{found['relative']:.1e}" + ("" if found["passed"] else " TOO LARGE")


def _shares(pack: Mapping[str, Any], peaks: Mapping[str, Any] | None) -> str:
    """Of each network, on the fastest of TensorRT's ways."""
    rows = []
    for kind, work in pack.get("work", {}).items():
        measured = pack.get("step", {}).get(kind, {})
        side = fastest(measured)
        if side is None or "operations" not in work or not peaks or "failed" in peaks:
            continue
        milliseconds = figures(measured[side])["median"]
        share = shares(work, milliseconds, peaks)
        rows.append([kind, f"{work['operations'] / 1e9:.4g}", f"{work['bytes'] / 1e6:.4g}", f"{milliseconds:.4g}",
                     *("-" if share[name] is None else f"{100 * share[name]:.1f} %" for name in ("matrix", "copy"))])
    return report.table(["component", "GFLOP", "MB", "ms", "of the matrix peak", "of the copy rate"], rows) if rows else ""


def _stages(items: Mapping[str, Mapping[str, Any]]) -> str:
    sides = {name: found["runs"] for name, found in items.get("prompt", {}).items() if found.get("runs")}
    if not sides:
        return ""
    stages = dict.fromkeys(stage for runs in sides.values() for stage in runs[0])
    return report.table(["stage", *(SIDES[name].title for name in sides)],
                        [[stage, *(_stage(runs, stage) for runs in sides.values())] for stage in stages])


def _stage(runs: list[Mapping[str, float]], stage: str) -> str:
    return f"{median(run[stage] for run in runs):.4f}" if stage in runs[0] else "-"


def _engines(built: Mapping[str, Any] | None) -> str:
    if not built or not built["engines"]:
        return ""
    return report.table(["engine", "build, s", "MB"], [[name, f"{found['seconds']:.1f}", f"{found['bytes'] / 1e6:.1f}"]
                                                       for name, found in built["engines"].items()])


def _memory(pack: Mapping[str, Any]) -> str:
    """The cold start, and the peaks of a warm run."""
    runs = {SIDES[name].title: found for name, found in pack.get("run", {}).get("prompt", {}).items() if "failed" not in found}
    started = pack.get("cold", {}).get("prompt", {}).get("command", {})
    rows = [["meshwright generate, a fresh process", f"{started['ms'][0] / 1000:.2f}", _gib(started.get("host_bytes")), "-"]] if (
        "ms" in started) else []
    rows += [[f"{title}, first run", f"{found['cold_ms'] / 1000:.2f}", _gib(found["host_bytes"]), _gib(found["device_bytes"])]
             for title, found in runs.items()]
    return report.table(["", "s", "host memory, GiB", "GPU memory, GiB"], rows) if rows else ""


def _gib(count: float | None) -> str:
    return "-" if count is None else f"{count / (1 << 30):.2f}"


def _failures(pack: Mapping[str, Any]) -> list[str]:
    """What failed, a line each; the same failure of many items once."""
    told: dict[str, list[str]] = {}
    for part in ("check", "step", "loop", "run", "work", "cold"):
        for item, measured in pack.get(part, {}).items():
            for side, found in measured.items() if part != "work" else {"": measured}.items():
                if "failed" in found:
                    told.setdefault(f"{SIDES[side].title if side in SIDES else part}: {found['failed'][:300]}", []).append(f"{part} {item}")
    return [f"FAILED: {', '.join(items)} on {why}" for why, items in told.items()]


def _left_out(left_out: Mapping[str, str]) -> list[str]:
    """A line for each reason."""
    whats: dict[str, list[str]] = {}
    for what, why in left_out.items():
        whats.setdefault(why, []).append(what)
    return ["## Left out", "\n".join(f"- {'; '.join(what)}: {why}" for why, what in whats.items())] if whats else []


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Bars of the end-to-end times and the loops of every pack, a group each; nothing where there is none."""
    groups = {f"{name}\n{item if part == 'loop' else 'end to end'}": measured for name, pack in document["packs"].items()
              for part in ("run", "loop") for item, measured in pack.get(part, {}).items()}
    sides = _sides(groups)
    if not sides:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(groups), figsize=(2.6 * len(groups) + 1.5, 4), squeeze=False)
    for axis, (title, measured) in zip(axes[0], groups.items(), strict=True):
        known = {name: found for name in sides if name in measured and (found := figures(measured[name]))}
        heights, tops = [found["median"] for found in known.values()], [found["p90"] - found["median"] for found in known.values()]
        axis.bar(range(len(known)), heights, yerr=[[0] * len(tops), tops], capsize=3, color=[f"C{sides.index(name)}" for name in known])
        axis.set_xticks(range(len(known)), [SIDES[name].title for name in known], rotation=60, ha="right", fontsize=7)
        axis.set_title(title, fontsize=8)
        axis.set_ylabel("ms, median and p90", fontsize=7)
    figure.suptitle(f"{document['device'] or 'no GPU: on the processor'}, {document['date']}", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

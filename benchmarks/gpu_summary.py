"""From all that was measured to the figures of the tables: medians, shares, ratios, bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Measured = Mapping[str, Mapping[str, Any]]
# Shares of one side's time by another's in one run, and where each is looked up: ours, theirs, at most.
EAGER_BAR, COMPILED_BAR, PEAK_BAR, SECONDS_BAR, STRETCH = 0.4, 0.67, 0.55, 3.0, 1.0
# A graph is not slower than plain launches if it is not by more than this: what two medians of the same work differ by.
NOISE = 0.02
OURS = ("trt-graph", "trt")


def figures(found: Mapping[str, Any]) -> dict[str, float] | None:
    """median and p90, in ms, and how many; None where it failed."""
    if "failed" in found or not found.get("ms"):
        return None
    ms = np.asarray(found["ms"], np.float64)
    return {"median": float(np.median(ms)), "p90": float(np.percentile(ms, 90)), "count": len(ms)}


def ratio(measured: Measured, ours: str, theirs: str) -> float | None:
    """Median by median; None where one of them is missing."""
    pair = [figures(measured.get(side, {"failed": ""})) for side in (ours, theirs)]
    return None if None in pair else pair[0]["median"] / pair[1]["median"]


def shares(work: Mapping[str, Any], milliseconds: float, peaks: Mapping[str, Any]) -> dict[str, float | None]:
    """What part of the card's measured rates an evaluation reaches. work : "operations" and "bytes" of one"""
    seconds, matrix, copy = milliseconds / 1000, peaks.get("matrix_flops"), peaks.get("copy_bytes")
    return {"matrix": work["operations"] / seconds / matrix if matrix else None, "copy": work["bytes"] / seconds / copy if copy else None}


def fastest(measured: Measured, sides: tuple[str, ...] = OURS) -> str | None:
    """The side of those with the smallest median."""
    known = {side: found["median"] for side in sides if side in measured and (found := figures(measured[side]))}
    return min(known, key=known.__getitem__) if known else None


def bars(pack: Mapping[str, Any], peaks: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The issue's bars for one pack; value and met are None where something that they need was not measured."""
    run, loops = pack.get("run", {}).get("prompt", {}), pack.get("loop", {})
    ours = fastest(run)
    seconds = figures(run[ours])["median"] / 1000 if ours else None
    rows = [("end to end, share of PyTorch eager", ratio(run, ours, "eager") if ours else None, EAGER_BAR),
            ("end to end, share of torch.compile with CUDA graphs", ratio(run, ours, "compiled") if ours else None, COMPILED_BAR),
            *((f"{kind}: one graph a loop, share of plain launches", ratio(found, "trt-graph", "trt"), 1.0 + NOISE)
              for kind, found in loops.items()),
            ("prompt to GLB, s", seconds, SECONDS_BAR), ("prompt to GLB, s (stretch)", seconds, STRETCH)]
    table = [{"measure": name, "bar": f"at most {most:g}", "value": value, "met": None if value is None else value <= most}
             for name, value, most in rows]
    share = refiner_share(pack, peaks)
    return [*table, {"measure": "refiner step, share of the card's FP16 matrix peak", "bar": f"at least {PEAK_BAR:g}", "value": share,
                     "met": None if share is None else share >= PEAK_BAR}]


def refiner_share(pack: Mapping[str, Any], peaks: Mapping[str, Any] | None) -> float | None:
    """Of the fastest of TensorRT's ways."""
    measured, work = pack.get("step", {}).get("refiner_step", {}), pack.get("work", {}).get("refiner_step", {})
    side = fastest(measured)
    if side is None or "operations" not in work or not peaks:
        return None
    return shares(work, figures(measured[side])["median"], peaks)["matrix"]

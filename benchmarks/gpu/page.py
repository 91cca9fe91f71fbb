"""What was measured on a card, as a Markdown page and as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median, quantiles
from typing import Any

from ..harness.results import VERDICTS, figure, gib, table
from .sides import SIDES

Items = Mapping[str, Mapping[str, Mapping[str, Any]]]
RUN, PRIOR, REFINER = (f"sharp-it-fp16-compute: {what}" for what in ("prompt", "loop prior_step", "loop refiner_step"))


def page(document: Mapping[str, Any]) -> str:
    """`document` as `__main__` keeps it: answers by item and side."""
    items, where = document["figures"], document["machine"]
    peaks = next((found for found in items.get("props: peaks", {}).values() if "failed" not in found), {})
    rates = [figure(peaks.get(name), ".3g", 1e12) for name in ("matrix_flops", "copy_bytes")]
    answers = [(item, side, sides) for item, sides in items.items() for side in sides]
    failed: dict[str, list[str]] = {}
    for item, side, sides in answers:
        if "failed" in sides[side]:
            failed.setdefault(f"{side}: {sides[side]['failed'][:300]}", []).append(item)
    rows = [_row(item, side, sides, peaks) for item, side, sides in answers if sides[side].get("ms")]
    return "\n\n".join([
        "# On a GPU" if document["device"] else "# The GPU benchmark, rehearsed without a GPU",
        f"{document['date']}. {document['device'] or 'NO GPU: all of this ran on the processor and says nothing of one'}. "
        f"{where['processor']}, {where['cores']} cores, Python {where['python']}; "
        f"{', '.join(f'{name} {version}' for name, version in document['versions'].items())}.",
        "`python -m benchmarks.gpu` ([how](gpu_how.md)). The sides took turns in one run, each in a process of its own. ms are of one step "
        "in loops. Errors are against ONNX Runtime on the processor. Full-size weights are random.",
        f"Measured peaks: {rates[0]} TFLOP/s in FP16 matrix products, {rates[1]} TB/s read and written by copies.",
        table(["measure", "bar", "measured", ""], list(_bars(items, peaks))),
        table(["", "side", "median, ms", "p90, ms", "share of the first", "of the matrix peak", "error", "first use, s", "device, GiB",
               "host, GiB"], rows),
        *(["Not measured:", "\n".join(f"- {why} ({'; '.join(of)})" for why, of in failed.items())] if failed else [])])


def _row(item: str, side: str, sides: Mapping[str, Any], peaks: Mapping[str, float]) -> list[str]:
    found, first = sides[side], next(each for each in sides if sides[each].get("ms"))
    p90 = quantiles(found["ms"], n=10, method="inclusive")[-1] if len(found["ms"]) > 1 else found["ms"][0]
    check = found.get("check", {})
    return [item, SIDES[side].title if side in SIDES else side, figure(_ms(found), ".4g"), figure(p90, ".4g", found.get("steps", 1)),
            figure(_ratio(sides, side, first), ".2f"), figure(_peak_share(sides, side, peaks), ".1%"),
            figure(check.get("relative"), ".1e") + (" TOO LARGE" if check.get("passed") is False else ""),
            figure(found.get("cold_ms"), ".2f", 1000), gib(found.get("device_bytes")), gib(found.get("host_bytes"))]


def _ms(found: Mapping[str, Any]) -> float | None:
    return median(found["ms"]) / found.get("steps", 1) if found.get("ms") else None


def _ratio(sides: Mapping[str, Any], ours: str | None, theirs: str) -> float | None:
    a, b = (_ms(sides.get(side or "", {})) for side in (ours, theirs))
    return a / b if a and b else None


def _peak_share(sides: Mapping[str, Any], side: str | None, peaks: Mapping[str, float]) -> float | None:
    operations, ms = next((each["operations"] for each in sides.values() if "operations" in each), None), _ms(sides.get(side or "", {}))
    return operations / (ms / 1000) / peaks["matrix_flops"] if operations and ms and peaks else None


def _best(sides: Mapping[str, Any]) -> str | None:
    """The fastest of ours."""
    return min((side for side in sides if side in SIDES and SIDES[side].package != "torch" and _ms(sides[side])),
               key=lambda side: _ms(sides[side]), default=None)


def _bars(items: Items, peaks: Mapping[str, float]) -> Iterator[list[str]]:
    run, compiled = items.get(RUN, {}), _compiled_ms(items)
    best, refiner = _best(run), items.get(REFINER, {})
    ours = _ms(run.get(best or "", {}))
    # Two medians of the same work differ by 2 %.
    blocks = [(f"{item}, {name} in blocks, share of plain launches", 1.02, _ratio(sides, f"{name}-blocks", name))
              for item, sides in items.items() for name in ("ort", "trt") if f"{name}-blocks" in sides and ": loop" in item]
    rows = [("full size, prompt to GLB, share of PyTorch eager", 0.4, _ratio(run, best, "eager")),
            ("the same, share of torch.compile (its loops, eager's other stages)", 0.67, ours and compiled and ours / compiled),
            ("full size, prompt to GLB, s", 3.0, ours and ours / 1000), *blocks]
    yield from ([name, f"at most {bar:g}", figure(value, ".3g"), VERDICTS[value and value <= bar]] for name, bar, value in rows)
    share = _peak_share(refiner, _best(refiner), peaks)
    yield ["refiner, share of the measured matrix peak", "at least 0.55", figure(share, ".3g"), VERDICTS[share and share >= 0.55]]


def _compiled_ms(items: Items) -> float | None:
    """End to end with torch.compile: eager's run, its two loops as much faster as they were by themselves."""
    eager = items.get(RUN, {}).get("eager", {})
    shares = [_ratio(items.get(item, {}), "compiled", "eager") for item in (PRIOR, REFINER)]
    if _ms(eager) is None or None in shares:
        return None
    loops = [1000 * median(run[stage] for run in eager["runs"]) for stage in ("coarse shape", "refined views")]
    return _ms(eager) - sum((1 - share) * loop for share, loop in zip(shares, loops, strict=True))


def bars_of(items: Items) -> list[tuple[str, float, int]]:
    """Labels, medians and colours for `bar_chart`."""
    answers = [(f"{item}, {side}", sides[side], [*SIDES, side].index(side)) for item, sides in items.items() for side in sides]
    return [(label, ms, colour) for label, found, colour in answers if (ms := _ms(found))]

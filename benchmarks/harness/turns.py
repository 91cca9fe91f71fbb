"""Sides that are measured by turns, so that what changes meanwhile meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .worker import Answer, Side


def interleaved(sides: Mapping[str, Side], request: Mapping[str, Any], *, budget: float, limit: float = float("inf"), fewest: int,
                most: int, repeat_ms: float = 0.0, now: Callable[[], float] = time.monotonic) -> dict[str, Answer]:
    """Ask all sides by turns, and gather what they measured.

    Each is asked once to warm up, then round after round, one after the other, so that what changes meanwhile (a card that grows
    warm, another program) meets all sides alike. One that fails is left out of the further rounds.

    request : without "repeat", which is chosen so that an answer holds about `repeat_ms` milliseconds of work; 0 for single ones
    budget : seconds that the rounds may take, about; but at least `fewest` and at most `most` of them
    limit : seconds for one answer
    Returns for each side {"ms": all but the first, "cold_ms": of the first, "runs": the "stages" of each, ...} with the last answer's
    other figures, or {"failed": why}.
    """
    found: dict[str, Answer] = {}
    for name, side in sides.items():
        first = side.ask(limit, **request, **({"repeat": 1} if repeat_ms else {}))
        found[name] = first if "failed" in first else {**first, "ms": [], "runs": [], "cold_ms": first["ms"][0]}
    repeats, began, rounds = dict.fromkeys(sides, 1), now(), 0
    while rounds < most and (rounds < fewest or now() - began < budget):
        for name, side in sides.items():
            known = found[name]
            if "failed" in known:
                continue
            answer = side.ask(limit, **request, **({"repeat": repeats[name]} if repeat_ms else {}))
            if "failed" in answer:
                found[name] = answer
                continue
            runs = [*known["runs"], *([answer["stages"]] if "stages" in answer else [])]
            found[name] = {**answer, "ms": known["ms"] + answer["ms"], "runs": runs, "cold_ms": known["cold_ms"]}
            if repeat_ms:  # the first of all may have compiled; from the second on it is known how long one takes
                repeats[name] = max(1, min(50, int(repeat_ms / max(min(answer["ms"]), 1e-3))))
        rounds += 1
    return found

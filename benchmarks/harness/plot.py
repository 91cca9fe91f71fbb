"""Figures as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def bar_chart(path: Path, title: str, unit: str, bars: Sequence[tuple[str, float, int]]) -> None:
    """A PNG of horizontal bars on a logarithmic axis, the first one on top; none where there are no bars.

    bars : label, length, and the number of the colour
    """
    if not bars:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels, lengths, colours = zip(*reversed(bars), strict=True)
    figure, axis = pyplot.subplots(figsize=(9, 0.25 * len(bars) + 1))
    axis.barh(labels, lengths, color=[f"C{colour}" for colour in colours])
    axis.set(xscale="log", xlabel=unit, title=title)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)

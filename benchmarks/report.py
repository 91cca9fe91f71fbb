"""Tables of figures as Markdown, and the files that a benchmark leaves."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from .summary import Bar


def machine() -> dict:
    """What the figures were measured on."""
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count(),
            "python": platform.python_version()}


def table(heading: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are set flush right."""
    rules = ["---"] + ["---:"] * (len(heading) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heading, rules, *rows))


def bar_table(bars: list[Bar]) -> str:
    """Figures beside their bars."""
    verdicts = {True: "met", False: "missed", None: "not measured"}
    rows = [[b.measure, ("at most " if b.at_most else "") + shown(b.bar, b.unit), shown(b.value, b.unit), str(b.count), verdicts[b.met]]
            for b in bars]
    return table(["measure", "bar", "measured", "n", ""], rows)


def shown(value: float | None, unit: str = "") -> str:
    """A figure as the tables show it: shares in per cent, the rest with two or three digits."""
    if value is None:
        return "-"
    if unit == "share":
        return f"{100 * value:.0f} %"
    if unit == "degrees":
        return f"{value:.1f} degrees"
    if unit == "PSNR":
        return f"{value:.1f} dB"
    return f"{value:+.2f} dB" if unit == "dB" else f"{value:.3f}"


def write(folder: Path, name: str, document: dict, text: str) -> None:
    """NAME.json and NAME.md in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (folder / f"{name}.md").write_text(text + "\n", "utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())

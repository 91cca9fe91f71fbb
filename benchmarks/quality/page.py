"""The figures as Markdown pages."""

from __future__ import annotations

from ..harness.results import VERDICTS, table
from .summary import Bar
from .workbench import SOURCES

WRONG = ("wrong family", "wrong main colour")
UNITS = {"matte": "ratio", "psnr": "PSNR", "outline": "ratio", "f": "ratio"}


def page(document: dict, bars: list[Bar]) -> str:
    """The Markdown page of the figures."""
    details, pack = document["details"], document["pack"]
    parts = [f"# Quality of the pack {pack['name']} {pack['version']}",
             f"Pack {pack['sha256'][:16]}; the protocol is in `benchmarks/quality/__main__.py`.", bar_table(bars),
             "## Reconstruction by family, IoU", _families(details["reconstruction by family"]),
             "## Whole pipeline", _pipelines(details),
             "## Refiner", _refiner(details["refiner"]),
             "## Mean absolute colour error of each texture source", _textures(details)]
    return "\n\n".join(parts)


def _families(found: dict) -> str:
    rows = [[family, shown(value), shown(found["mesh"][family])]
            for family, value in sorted(found["field"].items(), key=lambda item: item[1])]
    return table(["family", "field", "finished mesh"], rows)


def _pipelines(details: dict) -> str:
    held, paraphrased = details["held-out prompts"], details["paraphrases"]
    names = [name for name in held if not name.startswith("wrong")]
    rows = [[name, shown(held[name], "share"), shown(paraphrased[name], "share")] for name in names]
    wrong = [f"- {line}" for found in (held, paraphrased) for kind in WRONG for line in found[kind]]
    figures = table(["", "held-out prompts", "paraphrases"], rows)
    return "\n".join([figures, "", "What went wrong:", "", *(wrong or ["- nothing"])])


def _refiner(found: dict) -> str:
    rows = [[name, shown(value["PSNR"]), shown(value["main colour right"], "share")]
            for name, value in found.items()]
    return table(["views", "PSNR against the true views, dB", "main colour right"], rows)


def _textures(details: dict) -> str:
    rows = [[name.removeprefix("texture error, "), *(shown(found.get(source)) for source in SOURCES)]
            for name, found in details.items() if name.startswith("texture error")]
    return table(["made from", *SOURCES], rows)


def picture_page(document: dict, found: list[Bar]) -> str:
    """The Markdown page of the figures."""
    details, pack = document["details"], document["pack"]
    clean, steered, families = details["with the true matte"], details["coarse route"], details["by family"]
    rows = [[family, *(shown(families[key][family], unit) for key, unit in UNITS.items())]
            for family in sorted(families["f"], key=families["f"].get)]
    return "\n\n".join([
        f"# Pictures, with the pack {pack['name']} {pack['version']}",
        f"Pack {pack['sha256'][:16]}; the protocol is in `benchmarks/quality/__main__.py`.", bar_table(found),
        "With the true matte: " + ", ".join(f"{name} {shown(clean[key], UNITS[key])}"
                                            for key, name in (("psnr", "PSNR"), ("outline", "outlines"), ("f", "F-score")))
        + f". The mesh of the true views has an F-score of {shown(details['rebuilt from the true views'])}.",
        f"By the coarse route: right family {shown(steered['right family'], 'share')}, "
        f"main colour right {shown(steered['main colour right'], 'share')}.",
        f"Watertight: {shown(details['watertight'], 'share')}. Median time: {shown(details['median seconds'])} s, "
        "other measurements beside it.",
        "## By family", table(["family", "matte IoU", "PSNR", "outlines", "F-score"], rows),
        *(["What could not be made:\n\n" + "\n".join(f"- {line}" for line in details["errors"])] if details["errors"] else [])])


def bar_table(bars: list[Bar]) -> str:
    """Figures beside their bars."""
    rows = [[b.measure, ("at most " if b.at_most else "") + shown(b.bar, b.unit), shown(b.value, b.unit), str(b.count), VERDICTS[b.met]]
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

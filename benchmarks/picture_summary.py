"""From the records of photos to figures, and their page."""

from __future__ import annotations

from statistics import fmean, median

from . import report
from .summary import Bar, Record, by_family, mean


def bars(pictures: list[Record], steered: list[Record]) -> list[Bar]:
    """The table of figures beside their bars. An object that could not be made counts as 0."""
    rows = [("matte, IoU", 0.90, "matte", "ratio"), ("views against the true ones, PSNR", 20.0, "psnr", "PSNR"),
            ("views, IoU of the outlines", 0.85, "outline", "ratio"), ("mesh, F-score at 0.02", 0.80, "f", "ratio")]
    return [Bar(measure, bar, mean(pictures, lambda r, key=key: r[key]), len(pictures), unit) for measure, bar, key, unit in rows]


def details(pictures: list[Record], steered: list[Record]) -> dict:
    """With the true matte, by family, by elevation; the coarse route; times."""
    made = [record for record in pictures if "error" not in record]
    clean = [record["clean"] for record in made]
    return {
        "with the true matte": {key: fmean(r[key] for r in clean) if clean else None for key in ("psnr", "outline", "f")},
        "rebuilt from the true views": mean(made, lambda r: r["rebuilt"]),
        "mattes above 0.9": mean(made, lambda r: r["matte"] > 0.9),
        "by family": {key: by_family(made, key) for key in ("matte", "psnr", "outline", "f")},
        "coarse route": {"right family": mean(steered, lambda r: r["family"] == r["families"][0]),
                         "main colour right": mean(steered, lambda r: r["main_color"] == r["first"])},
        "watertight": mean(pictures, lambda r: r["watertight"]),
        "median seconds": median(r["timings"]["total"] for r in made) if made else None,
        "errors": [record["error"] for record in pictures + steered if "error" in record],
    }


def page(document: dict, found: list[Bar]) -> str:
    """The Markdown page of the figures."""
    details, pack = document["details"], document["pack"]
    clean, steered, families = details["with the true matte"], details["coarse route"], details["by family"]
    rows = [[family, *(report.shown(families[key][family], unit) for key, unit in UNITS.items())]
            for family in sorted(families["f"], key=families["f"].get)]
    return "\n\n".join([
        f"# Pictures, with the pack {pack['name']} {pack['version']}",
        f"Pack {pack['sha256'][:16]}; the protocol is in `benchmarks/props_quality.py`.", report.bar_table(found),
        "With the true matte: " + ", ".join(f"{name} {report.shown(clean[key], UNITS[key])}"
                                            for key, name in (("psnr", "PSNR"), ("outline", "outlines"), ("f", "F-score")))
        + f". The mesh of the true views has an F-score of {report.shown(details['rebuilt from the true views'])}.",
        f"By the coarse route: right family {report.shown(steered['right family'], 'share')}, "
        f"main colour right {report.shown(steered['main colour right'], 'share')}.",
        f"Watertight: {report.shown(details['watertight'], 'share')}. Median time: {report.shown(details['median seconds'])} s, "
        "other measurements beside it.",
        "## By family", report.table(["family", "matte IoU", "PSNR", "outlines", "F-score"], rows),
        *(["What could not be made:\n\n" + "\n".join(f"- {line}" for line in details["errors"])] if details["errors"] else [])])


UNITS = {"matte": "ratio", "psnr": "PSNR", "outline": "ratio", "f": "ratio"}

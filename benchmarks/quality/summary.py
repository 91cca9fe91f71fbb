"""From records to figures: the bars that the pack must reach, and what else is worth knowing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean, median

Record = dict
TEXTS = ("caption", "empty")


@dataclass(frozen=True)
class Bar:
    """One row of the table. value : None where nothing was measured; count : how many objects it is a mean of; at_most : the bar is
    what the value must stay below.
    """

    measure: str
    bar: float
    value: float | None
    count: int
    unit: str
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        return None if self.value is None else self.value <= self.bar if self.at_most else self.value >= self.bar


def bars(objects: list[Record], refined: list[Record], prompts: list[Record], paraphrased: list[Record]) -> list[Bar]:
    """The table of figures beside their bars. An object that could not be made counts as wrong."""
    named, renamed = (_naming(records) for records in (prompts, paraphrased))
    meshes = objects + prompts + paraphrased
    text, without = (_color_share(refined, f"recolored+{kind}") for kind in TEXTS)
    clear = None if text is None or without is None else text - without
    rows = [
        ("reconstruction from true views, IoU of the field", 0.80, mean(objects, _of("iou")), objects, ""),
        ("reconstruction from true views, IoU of the mesh", 0.80, mean(objects, _of("mesh_iou")), objects, ""),
        ("held-out prompts: right family", 0.90, mean(prompts, _right_family), prompts, "share"),
        ("held-out prompts: main colour right", 0.90, mean(named, _right_color), named, "share"),
        ("paraphrases: right family", 0.75, mean(paraphrased, _right_family), paraphrased, "share"),
        ("paraphrases: main colour right", 0.75, mean(renamed, _right_color), renamed, "share"),
        ("refined views over coarse views, PSNR", 2.0, _gain(refined, "coarse+caption", "coarse"), refined, "dB"),
        ("coarse, refined, rebuilt: F-score at 0.02", 0.85, mean(refined, _of("chain")), refined, ""),
        ("the same, worst family", 0.70, min(by_family(refined, "chain").values(), default=None), refined, ""),
        ("watertight meshes", 0.95, mean(meshes, _of("watertight")), meshes, "share"),
        # The bar asks for "clearly better": ten points more of the objects in the right colour.
        ("wrongly coloured coarse views made right, with text minus without", 0.10, clear, _naming(refined), "share"),
    ]
    asked = prompts + paraphrased
    above = [
        ("texture of the refined views, mean colour error", 0.02, texture_errors(refined).get("field"), refined, ""),
        ("prompts: meshes with pieces too many", 0.02, _too_many(asked, "extra_pieces"), asked, "share"),
        ("prompts: meshes with handles too many", 0.02, _too_many(asked, "extra_handles"), asked, "share"),
        ("flat parts from true views, angle between neighbours", 3.0, _flat(objects), objects, "degrees"),
        ("flat parts from refined views, angle between neighbours", 3.0, _flat(refined), refined, "degrees"),
    ]
    return [Bar(measure, bar, value, len(records), unit) for measure, bar, value, records, unit in rows] + [
        Bar(measure, bar, value, len(records), unit, at_most=True) for measure, bar, value, records, unit in above]


def details(objects: list[Record], refined: list[Record], prompts: list[Record], paraphrased: list[Record]) -> dict:
    """Everything else: by family, coarse against final, with and without text, texture sources."""
    everything = objects + refined + prompts + paraphrased
    return {
        "reconstruction by family": {"field": by_family(objects, "iou"), "mesh": by_family(objects, "mesh_iou")},
        "held-out prompts": _pipeline(prompts), "paraphrases": _pipeline(paraphrased),
        "refiner": _refiner(refined),
        "texture error, true views": texture_errors(objects),
        "texture error, refined views": texture_errors(refined),
        "IoU of what the refined views are rebuilt to": mean(refined, _of("iou")), "chain by family": by_family(refined, "chain"),
        "errors": [record["error"] for record in everything if "error" in record],
    }


def by_family(records: list[Record], key: str) -> dict[str, float]:
    """Mean of a figure for each family."""
    values: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if "family" in record:
            values[record["family"]].append(record[key])
    return {family: fmean(found) for family, found in values.items()}


def texture_errors(records: list[Record]) -> dict[str, float]:
    """Mean absolute colour error of each texture source."""
    errors = [record["texture"] for record in records if "texture" in record]
    return {source: fmean(error[source] for error in errors) for source in (errors[0] if errors else ())}


def _pipeline(records: list[Record]) -> dict:
    named = _naming(records)
    second = [record for record in records if record.get("second")]
    return {
        "right family": mean(records, _right_family), "main colour right": mean(named, _right_color),
        "second colour right": mean(second, lambda r: r["second_color"] == r["second"]),
        "coarse: right family": mean(records, lambda r: r["coarse"]["right_family"]),
        "coarse: main colour right": mean(named, lambda r: r["coarse"]["main_color"] == r["first"]),
        "wrong family": [f"{r['prompt']} -> {r['family']}" for r in records if "family" in r and not r["right_family"]],
        "wrong main colour": [f"{r['prompt']} -> {r['main_color']}" for r in named
                              if "family" in r and not _right_color(r)],
    }


def _refiner(records: list[Record]) -> dict:
    names = [name for guide in ("coarse", "recolored") for name in (guide, *(f"{guide}+{text}" for text in TEXTS))]
    return {name: {"PSNR": mean(records, lambda r, n=name: r[n]["psnr"], failed=None),
                   "main colour right": _color_share(records, name)} for name in names}


def _naming(records: list[Record]) -> list[Record]:
    """Those whose prompt names the main colour, and those that failed, of which that is not known."""
    return [record for record in records if record.get("first") or "error" in record]


def _of(key: str) -> Callable[[Record], float]:
    return lambda record: record[key]


def _right_family(record: Record) -> bool:
    return record["right_family"]


def _right_color(record: Record) -> bool:
    return record["main_color"] == record["first"]


def _color_share(records: list[Record], name: str) -> float | None:
    return mean(_naming(records), lambda r: r[name]["color"] == r["first"])


def _too_many(records: list[Record], key: str) -> float | None:
    return mean(records, lambda r: r[key] > 0, failed=1.0)


def _flat(records: list[Record]) -> float | None:
    """Median over the objects that have flat parts; the true props' own are flat to the grid's precision, so nothing is taken off."""
    angles = [record["flat_angle"] for record in records if record.get("flat_angle") is not None]
    return median(angles) if angles else None


def _gain(records: list[Record], one: str, other: str) -> float | None:
    return mean(records, lambda r: r[one]["psnr"] - r[other]["psnr"])


def mean(records: Iterable[Record], value: Callable[[Record], float], failed: float | None = 0.0) -> float | None:
    """Mean over the records; one that holds an error counts as `failed`, or not at all."""
    values = [failed if "error" in record else float(value(record)) for record in records]
    values = [v for v in values if v is not None]
    return fmean(values) if values else None


def picture_bars(pictures: list[Record], steered: list[Record]) -> list[Bar]:
    """The table of figures beside their bars. An object that could not be made counts as 0."""
    rows = [("matte, IoU", 0.90, "matte", "ratio"), ("views against the true ones, PSNR", 20.0, "psnr", "PSNR"),
            ("views, IoU of the outlines", 0.85, "outline", "ratio"), ("mesh, F-score at 0.02", 0.80, "f", "ratio")]
    return [Bar(measure, bar, mean(pictures, lambda r, key=key: r[key]), len(pictures), unit) for measure, bar, key, unit in rows]


def picture_details(pictures: list[Record], steered: list[Record]) -> dict:
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

"""The figures on the pages are those that the benchmarks wrote, rounded."""

import re

import pytest

from tests.docs.pages import ROOT

LATENCY = ("latency.md", "README.md")
PROMPTS = ("props_quality.md", "docs/bundled_pack.md")
PICTURES = ("picture_quality.md", "docs/bundled_pack.md")
# Where it is recorded and stated, the two rows, and the unit of the page in that of the record.
FIGURES = [
    (*LATENCY, "resident memory, MB", "largest resident memory, prompts and pictures in one process", 1000),
    (*LATENCY, "prompt: network time, share of PyTorch eager",
     "networks alone, share of PyTorch eager's time: a prompt, a picture", 1),
    (*LATENCY, "installed without extras, MB", "installed without extras, pack included", 1),
    (*PROMPTS, "reconstruction from true views, IoU of the field", "reconstruction from true views, volumetric IoU (40 objects)", 1),
    (*PROMPTS, "held-out prompts: right family", "correct object, 100 held-out prompts", 1),
    (*PROMPTS, "held-out prompts: main colour right", "correct main colour, 88 held-out prompts that name one", 1),
    (*PROMPTS, "paraphrases: right family", "correct object, 60 freely worded prompts", 1),
    (*PROMPTS, "paraphrases: main colour right", "correct main colour, 57 freely worded prompts that name one", 1),
    (*PROMPTS, "refined views over coarse views, PSNR", "refined views against the coarse ones, PSNR (20 objects)", 1),
    (*PROMPTS, "watertight meshes", "watertight meshes (200)", 1),
    (*PICTURES, "matte, IoU", "matte, IoU", 1),
    (*PICTURES, "views against the true ones, PSNR", "six views against the true ones, PSNR", 1),
    (*PICTURES, "views, IoU of the outlines", "their outlines, IoU", 1),
    (*PICTURES, "mesh, F-score at 0.02", "mesh, F-score at 0.02 of its longest side", 1),
]


def cells(page, row):
    """The cells behind the first one of a row of a table."""
    lines = [line for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith(f"| {row} |")]
    assert len(lines) == 1, f"{page}: {row}"
    return [cell.strip() for cell in lines[0].split("|")[2:-1]]


def number(cell):
    """The first number of a cell, as it is written."""
    return re.search(r"\d+(?:\.\d+)?(?:e[+-]\d+)?", cell)[0]


@pytest.mark.parametrize("record, page, recorded_row, stated_row, unit", FIGURES, ids=[figure[2] for figure in FIGURES])
def test_what_a_page_says_is_what_was_recorded(record, page, recorded_row, stated_row, unit):
    bar, recorded = cells(f"benchmarks/results/{record}", recorded_row)[:2]
    *target, stated = cells(page, stated_row)[:1 if page == "README.md" else 2]
    digits = len(number(stated).partition(".")[2])
    assert float(number(stated)) == round(float(number(recorded)) / unit, digits)
    assert [float(number(each)) for each in target] == ([] if page == "README.md" else [float(number(bar))])


@pytest.mark.parametrize("recorded_row, stated_row", [("warm prompt", "prompt to GLB, warm"),
                                                      ("warm picture", "picture of 512 pixels to GLB, warm"),
                                                      ("process start to GLB", "process start to GLB")])
def test_times_are_those_on_two_cores_in_the_newest_run(recorded_row, stated_row):
    after = cells("benchmarks/results/speed.md", f"{recorded_row} | 2 | clock")[-3]
    (stated,) = cells("README.md", stated_row)
    assert float(number(stated)) == round(float(after), 1)

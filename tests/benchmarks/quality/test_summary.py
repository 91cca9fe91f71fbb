import pytest

from benchmarks.quality import page, summary


def prompt(family_right, color, first="red", second=None):
    coarse = {"right_family": True, "main_color": "blue"}
    return {"prompt": "p", "family": "chair", "right_family": family_right, "main_color": color, "second_color": "blue",
            "first": first, "second": second, "coarse": coarse, "watertight": True,
            "extra_pieces": 0, "extra_handles": 2}


def refined(psnr, color, first="red", family="car", chain=0.9, angle=None):
    views = {"psnr": 20.0, "color": "blue"}
    with_text = {"psnr": psnr, "color": color}
    return {"family": family, "first": first, "iou": 0.5, "chain": chain, "flat_angle": angle,
            "coarse": views, "coarse+caption": with_text, "coarse+empty": views,
            "recolored": views, "recolored+caption": with_text, "recolored+empty": views}


FAILED = {"error": "no surface", "index": 3}


def test_a_failed_object_counts_as_wrong_everywhere():
    prompts = [prompt(True, "red"), prompt(True, "blue"), FAILED, prompt(False, "red", first=None)]
    rows = {bar.measure: bar for bar in summary.bars([], [], prompts, [])}
    assert rows["held-out prompts: right family"].value == pytest.approx(2 / 4)
    assert rows["held-out prompts: main colour right"].value == pytest.approx(1 / 3)
    assert rows["held-out prompts: main colour right"].count == 3
    assert rows["watertight meshes"].value == pytest.approx(3 / 4)


def test_refiner_figures():
    found = [refined(23.0, "red"), refined(22.0, "blue"), refined(21.0, "blue", first=None)]
    rows = {bar.measure: bar for bar in summary.bars([], found, [], [])}
    assert rows["refined views over coarse views, PSNR"].value == pytest.approx(2.0)
    assert rows["refined views over coarse views, PSNR"].met
    assert rows["wrongly coloured coarse views made right, with text minus without"].value == pytest.approx(0.5)
    assert summary.details([], found, [], [])["refiner"]["coarse"] == {"PSNR": 20.0, "main colour right": 0.0}


def test_bars_from_above_are_met_below_them():
    rows = {bar.measure: bar for bar in summary.bars([], [], [prompt(True, "red"), FAILED], [])}
    pieces, handles = rows["prompts: meshes with pieces too many"], rows["prompts: meshes with handles too many"]
    assert (pieces.value, handles.value) == (0.5, 1.0), "what could not be made counts"
    assert not pieces.met and summary.Bar("", 2.0, 1.9, 1, "degrees", at_most=True).met
    assert "| at most 2 % | 50 % |" in page.bar_table([pieces])


def test_chain_is_judged_by_its_mean_and_its_worst_family():
    found = [refined(23, "red", family=family, chain=chain, angle=angle)
             for family, chain, angle in (("car", 0.9, 2.0), ("car", 0.7, None), ("mug", 0.95, 4.0))]
    rows = {bar.measure: bar for bar in summary.bars([], found, [], [])}
    assert rows["coarse, refined, rebuilt: F-score at 0.02"].value == pytest.approx(0.85)
    assert rows["the same, worst family"].value == pytest.approx(0.8)
    assert rows["flat parts from refined views, angle between neighbours"].value == pytest.approx(3.0)


def test_what_was_not_measured_is_neither_met_nor_missed():
    rows = summary.bars([], [], [], [])
    assert all(bar.value is None and bar.met is None for bar in rows)
    assert page.bar_table(rows).count("not measured") == len(rows)


def test_means_by_family_and_texture_errors():
    first = {"family": "car", "iou": 0.5, "texture": {"views": 0.1, "field": 0.2}}
    records = [first, {"family": "car", "iou": 0.7}, FAILED]
    assert summary.by_family(records, "iou") == {"car": pytest.approx(0.6)}
    assert summary.texture_errors(records) == {"views": 0.1, "field": 0.2}
    assert summary.texture_errors([]) == {}


def test_figures_are_shown_with_their_unit():
    assert page.shown(0.905, "share") == "90 %"
    assert page.shown(2.1, "dB") == "+2.10 dB"
    assert page.shown(0.8) == "0.800"
    assert page.shown(None) == "-"

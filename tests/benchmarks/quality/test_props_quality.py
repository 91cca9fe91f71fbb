"""The whole benchmark on a tiny pack: records, figures, contact sheet, and a second run that has nothing left to do."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import __main__ as props_quality
from benchmarks.quality import tasks
from meshwright.engines.errors import EmptyShape
from tests.runtime.tiny_pack import build


@pytest.fixture(scope="module")
def ran(tmp_path_factory, one_reference_each):
    folder = tmp_path_factory.mktemp("quality")
    pack = build(folder / "tiny")
    arguments = ["--pack", str(pack), "--prompts", "2", "--paraphrases", "1", "--objects", "1", "--jobs", "1",
                 "--out", str(folder / "out"), "--sheet", str(folder / "docs" / "sheet.png")]
    props_quality.main(arguments)
    return folder, arguments


@pytest.mark.slow
def test_figures_and_their_page_are_written(ran):
    folder, _ = ran
    document = json.loads((folder / "out" / "props_quality.json").read_text())
    rows = {bar["measure"]: bar for bar in document["bars"]}
    assert rows["held-out prompts: right family"]["count"] == 2
    assert rows["paraphrases: right family"]["count"] == 1
    assert 0 < rows["reconstruction from true views, IoU of the field"]["value"] < 1
    assert rows["refined views over coarse views, PSNR"]["value"] is None, "needs the training checkpoints"
    assert set(document["details"]["texture error, true views"]) == {"views", "field", "blend"}
    assert "| paraphrases: right family | 75 % |" in (folder / "out" / "props_quality.md").read_text()


@pytest.mark.slow
def test_the_sheet_shows_the_first_prompts(ran):
    picture = np.asarray(Image.open(ran[0] / "docs" / "sheet.png").convert("RGB"))
    assert picture.shape == (24 + 2 * 96, 168 + 9 * 96, 3)
    assert (picture[24:, :168] < 128).any(), "the prompt is drawn"
    for column in range(9):
        tile = picture[24:120, 168 + 96 * column:264 + 96 * column]
        assert (tile < 200).any() and (tile[0] > 200).all(), f"picture {column}"


@pytest.mark.slow
def test_a_second_run_measures_nothing_again(ran, monkeypatch):
    monkeypatch.setattr(tasks, "_record", None)
    props_quality.main(ran[1])


def test_an_object_that_cannot_be_made_is_recorded(tmp_path, monkeypatch):
    def fail(*_):
        raise EmptyShape("the reconstruction has no surface")

    monkeypatch.setattr(tasks, "_record", fail)
    task = tasks.Task("prompt", 3)
    assert tasks._measure(task, tmp_path, deadline=float("inf"))
    assert tasks.records(tmp_path, "prompt", 4)[0]["error"].startswith("prompt 3: the reconstruction has no surface")
    assert [file.name for file in tmp_path.iterdir()] == ["prompt-0003.json"]


def test_nothing_is_begun_after_the_deadline(tmp_path):
    assert not tasks._measure(tasks.Task("prompt", 0), tmp_path, deadline=0.0)
    assert not list(tmp_path.iterdir())

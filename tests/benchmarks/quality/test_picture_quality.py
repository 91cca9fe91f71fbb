"""The benchmark of pictures on a tiny pack: records, figures, contact sheet; and its measures on known cases."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import __main__ as props_quality
from benchmarks.quality import generation, metrics, summary
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.mesh import Mesh
from tests.runtime.tiny_pictures import build_both


@pytest.fixture(scope="module")
def ran(tmp_path_factory, one_reference_each):
    folder = tmp_path_factory.mktemp("pictures")
    pack = build_both(folder / "tiny")
    props_quality.main(["--pack", str(pack), "--image", "--pictures", "2", "--steered", "1", "--jobs", "1",
                        "--out", str(folder / "out"), "--sheet", str(folder / "docs" / "sheet.png")])
    return folder


@pytest.mark.slow
def test_figures_and_their_page_are_written(ran):
    document = json.loads((ran / "out" / "picture_quality.json").read_text())
    rows = {bar["measure"]: bar for bar in document["bars"]}
    assert [bar["count"] for bar in rows.values()] == [2, 2, 2, 2]
    assert rows["matte, IoU"]["value"] > 0.5, "the matting network is the real one"
    assert 0 < rows["mesh, F-score at 0.02"]["value"] < 1 and not rows["mesh, F-score at 0.02"]["met"]
    assert document["details"]["with the true matte"]["psnr"] > 0
    assert "| views against the true ones, PSNR | 20.0 dB |" in (ran / "out" / "picture_quality.md").read_text()


@pytest.mark.slow
def test_the_sheet_shows_the_first_photos(ran):
    picture = np.asarray(Image.open(ran / "docs" / "sheet.png").convert("RGB"))
    assert picture.shape == (24 + 2 * 96, 10 * 96, 3)
    assert (picture[24:120, :96] < 250).any(axis=-1).mean() > 0.9, "a photo has a background"


def test_an_object_that_could_not_be_made_counts_as_nothing():
    good = {"matte": 1.0, "psnr": 30.0, "outline": 1.0, "f": 0.9, "family": "mug", "rebuilt": 0.9, "watertight": True,
            "clean": {"psnr": 31.0, "outline": 1.0, "f": 0.9}, "timings": {"total": 3.0}}
    found = {bar.measure: bar.value for bar in summary.picture_bars([good, {"error": "picture 1: nothing"}], [])}
    assert found["matte, IoU"] == 0.5 and found["views against the true ones, PSNR"] == 15.0


def test_outlines_are_what_is_not_white():
    views = np.ones((1, 4, 4, 3), np.float32)
    views[0, 1, 2, 0] = 0.9
    assert np.argwhere(generation.silhouettes(views)).tolist() == [[0, 1, 2]]


def test_the_score_of_a_surface_is_1_for_the_prop_itself_and_falls_as_it_moves():
    prop = make_prop(3, "crate")
    vertices = prop.surface(24_000, np.random.default_rng(0))
    dots = np.concatenate([vertices, vertices + [0.003, 0, 0], vertices + [0, 0.003, 0]]).astype(np.float32)
    faces = np.arange(len(vertices), dtype=np.int32)[:, None] + len(vertices) * np.arange(3, dtype=np.int32)
    mesh = Mesh(dots, faces)
    assert metrics.surface_score(mesh, prop.surface, 0) > 0.97
    assert metrics.surface_score(mesh.replace(vertices=dots + np.float32([0.1, 0.1, 0])), prop.surface, 0) < 0.6

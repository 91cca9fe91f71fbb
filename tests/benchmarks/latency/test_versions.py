"""Two versions side by side: which one a process imports, what is measured on a texture, and the shares."""

import json
import sys

import numpy as np
import pytest

from benchmarks.harness.command import ROOT, checked_command
from benchmarks.latency.version_side import atlas_quality
from benchmarks.latency.versions import linked, missing_requirements, page, ratio, require_all, summary
from meshwright.runtime.geometry.mesh import Mesh


def test_a_process_imports_the_version_on_its_path(tmp_path):
    folder = linked(ROOT, tmp_path / "before")
    command = [sys.executable, "-c", "import meshwright.runtime; print(meshwright.runtime.__file__)"]
    ended = checked_command(command, environment={"PYTHONPATH": str(folder)})
    assert ended.output.strip() == str(folder / "meshwright" / "runtime" / "__init__.py")


def test_a_version_without_what_it_needs_is_not_measured():
    project = '[project]\ndependencies = ["numpy>=2.0", "numpy>=99", "no-such-package-of-ours>=1"]'
    assert missing_requirements(project) == ["numpy>=99", "no-such-package-of-ours>=1"]
    with pytest.raises(SystemExit, match='pip install "numpy>=99" "no-such-package-of-ours>=1"'):
        require_all(project)


def square(uvs):
    """A square of two units a side, of two faces that share no vertex."""
    corners = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 0, 0], [2, 2, 0], [0, 2, 0]], np.float32)
    return Mesh(corners, np.array([[0, 1, 2], [3, 4, 5]], np.int32), uvs=np.array(uvs, np.float32), texture=np.zeros((64, 64, 3), np.uint8))


def test_a_square_that_fills_the_texture():
    """64 texels over two units; the faces join, so there is no seam."""
    found = atlas_quality(square([[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [0, 1]]))
    assert found["density"] == pytest.approx(32) and found["worst"] == pytest.approx(32)
    assert (found["seams"], found["overlap"], found["vertices"]) == (0, 0, 6) and found["filled"] == pytest.approx(1)


def test_half_as_high_apart_and_over_each_other():
    """Both faces on the same half of a strip of half the height: 64 x 32 texels over 2 x 2 units."""
    found = atlas_quality(square([[0, 0], [1, 0], [1, 0.5], [0, 0], [1, 0], [1, 0.5]]))
    assert found["worst"] < 32 / 2 + 1 and found["overlap"] == pytest.approx(0.5, abs=0.01)
    assert found["seams"] == pytest.approx(8 ** 0.5)


def run(seconds, processor):
    return {"seconds": seconds, "processor": processor, "stages": {"texture": seconds / 2}}


def test_the_share_is_that_of_a_round():
    """1/2, 2/2 and 3/10: the median is 0.5, though the medians' is 2/2."""
    found = {"before": [run(2, 1), run(2, 1), run(10, 1)], "after": [run(1, 1), run(2, 1), run(3, 1)]}
    assert ratio(found, "seconds") == {"before": 2, "after": 2, "share": 0.5}


def test_the_page():
    quality = {key: 0.25 for key in ("density", "worst", "seams", "overlap", "filled", "vertices", "color error")}
    sides = {"before": [run(2.0, 3.0)], "after": [run(1.0, 1.5)]}
    document = {"before": "abc", "machine": {"processor": "Abacus", "cores": 2}, "rounds": 1, "load": [0.5, 1.5],
                "warm": {"2": {"prompt": sides}},
                "large": [{"side": "after", "texture": 8192, "seconds": 9.5, "processor_seconds": 8.0, "peak_mb": 1200}],
                "cold": sides, "quality": {"before": [quality], "after": [quality]}}
    document["summary"] = summary(document)
    text = page(json.loads(json.dumps(document)))
    assert "| warm prompt | 2 | clock | 2.000 | 1.000 | 0.50 | 0.6 |" in text
    assert "| process start to GLB | 2 | all cores | 3.000 | 1.500 | 0.50 | 0.65 |" in text
    assert "| after, 8192 | 9.5 | 8 | 1200 |" in text
    assert "| texture | 1.000 | 0.500 |" in text and "Abacus, 2 cores, load 0.5 at the start and 1.5 at the end" in text

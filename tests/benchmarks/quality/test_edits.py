"""What counts as the wanted colour; and the run, on the tiny pack."""

import numpy as np
import pytest

from benchmarks.quality.edits import EDITS, distances, measure, tone
from meshwright.runtime import Pipeline
from tests.runtime.tiny_pack import build


def test_the_tone_is_of_the_object_alone():
    views = np.ones((2, 4, 4, 3), np.float32)
    views[0, 1, 1], views[1, 2, 2] = (0.5, 0.1, 0.0), (0.3, 0.1, 0.0)
    np.testing.assert_allclose(tone(views), [1.0, 0.25, 0.0], atol=1e-6)


@pytest.mark.parametrize(("color", "nearer"), [((0.8, 0.1, 0.1), "old"), ((0.1, 0.1, 0.8), "wanted")])
def test_the_nearer_colour(color, nearer):
    old, wanted = distances(np.full((1, 2, 2, 3), color, np.float32), "red", "blue")
    assert (wanted < old) == (nearer == "wanted") and min(old, wanted) < 0.5 < max(old, wanted)


def test_each_edit_is_measured_in_both_ways(tmp_path):
    with Pipeline.open(build(tmp_path / "tiny"), threads=1) as pipe:
        found = list(measure(pipe, 0))
    assert [name for name, _ in found] == ["edit", "plain"] * len(EDITS)
    assert all(np.isfinite(pair).all() for _, pair in found)

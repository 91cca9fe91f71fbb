import numpy as np
import pytest

from benchmarks.quality import families
from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.palette import NAMES
from meshwright.export.props.world.world import make_prop


@pytest.fixture(scope="module", autouse=True)
def few_references():
    """Fresh props as the benchmark makes them, but three a family, so that the test is short."""
    kept, families.PER_FAMILY = families.PER_FAMILY, 3
    families.references.cache_clear()
    yield
    families.PER_FAMILY = kept
    families.references.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["car", "snowman", "house", "sword"])
def test_a_true_prop_is_recognised_and_its_parts_have_their_colours(family):
    prop = make_prop(40_000_001, family, first="teal", second="orange")
    points = prop.surface(1024, np.random.default_rng(0))
    found = families.match(points * 0.3 + np.float32([1, 2, 3]))
    assert found.family == family
    assert set(found.scores) == set(FAMILIES)
    colors = prop.distances(points)[1]
    assert families.part_color(points, colors, found.best[family], families.MAIN) == "teal"
    assert families.part_color(points, colors, found.best[family], families.SECOND) == "orange"


def test_references_keep_away_from_other_seeds():
    assert families.FIRST_SEED > 20_000_000
    assert len(families.references()) == 3 * len(FAMILIES)
    for reference in families.references()[:4]:
        assert reference.points.shape == (families.POINTS, 3) and reference.slots.shape == (families.POINTS,)
        assert np.ptp(reference.points, axis=0).max() == pytest.approx(1, abs=1e-5)
        assert families.MAIN in reference.slots and families.SECOND in reference.slots


def test_a_part_without_points_has_no_colour():
    reference = families.references()[0]
    assert families.part_color(reference.points, np.full_like(reference.points, 0.5), reference, 99) is None
    assert families.part_color(reference.points, np.full_like(reference.points, 0.5), reference, 0) in NAMES

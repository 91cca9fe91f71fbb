import json

import numpy as np
import pytest

from meshwright.export.props.world import cameras, dataset
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import camera_vectors, orbit

SEED = 60_000_000


@pytest.fixture(scope="module")
def rows():
    return dataset.sample(make_prop(SEED), np.random.default_rng(0), cameras.view_poses())


def test_a_row_has_the_layout_that_trainers_map(rows):
    for name, (shape, dtype) in dataset._layout(1).items():
        assert rows[name].shape == shape[1:], name
        assert rows[name].dtype == dtype or np.can_cast(rows[name].dtype, dtype, "same_kind"), name


def test_points_are_near_wide_and_anywhere_as_promised(rows):
    near, wide = dataset.NEAR, dataset.NEAR + dataset.WIDE
    distance = np.abs(rows["sdf"])
    assert np.median(distance[:near]) < 0.03 < np.median(distance[wide:])
    assert np.median(distance[near:wide]) > np.median(distance[:near])
    assert np.abs(rows["points"][wide:].astype(float)).max() <= dataset.EXTENT + 1e-3


def test_distances_and_colours_belong_to_the_points_as_stored(rows):
    distance, color = make_prop(SEED).distances(rows["points"])
    np.testing.assert_allclose(rows["sdf"], distance, atol=1e-6)
    np.testing.assert_array_equal(rows["color"], dataset.to_bytes(color))


def test_a_folder_can_be_written_and_opened_again(tmp_path):
    dataset.write(tmp_path / "set", 2, SEED)
    data = dataset.Dataset.open(tmp_path / "set")
    assert len(data) == 2 and data.views.shape == (2, 6, dataset.VIEW_SIZE, dataset.VIEW_SIZE, 3)
    label = json.loads((tmp_path / "set" / "labels.json").read_text())[0]
    prop = make_prop(SEED)
    assert label == {"family": prop.family, "first": prop.first, "second": prop.second, "seed": SEED,
                     "captions": prop.captions(dataset.CAPTIONS)}


def test_poses_are_those_of_the_runtime():
    ours = orbit(cameras.AZIMUTHS, cameras.ELEVATIONS, cameras.RADIUS, cameras.FOV)
    np.testing.assert_allclose(cameras.view_poses(), ours.c2w, atol=1e-12)
    np.testing.assert_allclose(cameras.camera_vectors(), camera_vectors(ours), atol=1e-6)
    pose = [-0.5, -0.296198, 0.813798, 3.255191, 0.866025, -0.17101, 0.469846, 1.879385,
            0, 0.939693, 0.34202, 1.368081]
    np.testing.assert_allclose(cameras.camera_vectors()[0], pose + [1.866025, 1.866025, 0.5, 0.5], atol=2e-6)

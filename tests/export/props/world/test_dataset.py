import numpy as np
import pytest
import torch

from meshwright.export.props.world import dataset
from meshwright.export.props.world.families import FAMILIES, USUAL
from meshwright.export.props.world.palette import COLORS
from meshwright.export.props.world.sdf_torch import SLOTS
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import orbit

SEED = 60_000_000


@pytest.fixture(scope="module")
def rows():
    return dataset.sample(make_prop(SEED), np.random.default_rng(0), orbit().c2w)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    dataset.write(folder, 2, SEED)
    return dataset.Dataset.open(folder)


def test_a_row_has_the_layout_that_files_have(rows):
    for name, (shape, dtype) in dataset.LAYOUT.items():
        assert rows[name].shape == shape and rows[name].dtype == dtype, name


def test_points_are_near_wide_and_anywhere_as_promised(rows):
    near, wide = dataset.NEAR, dataset.NEAR + dataset.WIDE
    distance = np.abs(rows["sdf"])
    assert np.median(distance[:near]) < 0.03 < np.median(distance[wide:])
    assert np.median(distance[near:wide]) > np.median(distance[:near])
    assert np.abs(rows["points"][wide:].astype(float)).max() <= dataset.EXTENT + 1e-3


def test_a_prop_in_its_own_colours_is_the_prop(data):
    prop = make_prop(SEED)
    colors = np.zeros((1, SLOTS, 3), np.float32)
    colors[0, prop.primitives[:, 22].astype(int)] = prop.primitives[:, 18:21]
    batch = dataset.Batch(data, torch.tensor([0]), torch.from_numpy(colors))
    views = batch.views()[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(views, prop.views(orbit().c2w, dataset.VIEW_SIZE), atol=0.006)
    torch.testing.assert_close(batch.view(torch.tensor([4])), batch.views()[:, 4], rtol=0, atol=0)
    points, sdf, color = batch.field(torch.arange(600, 700))
    distance, true_color = prop.distances(points[0].numpy())
    np.testing.assert_allclose(sdf[0, :, 0], distance, atol=1e-3)
    assert np.abs(color[0].numpy() - true_color).max() < 1e-6
    surface = batch.surface(torch.arange(50))
    assert surface.shape == (1, 50, 6) and np.abs(prop.distances(surface[0, :, :3].numpy())[0]).max() < 4e-3
    np.testing.assert_allclose(surface[0, :, 3:] / 2 + 0.5, prop.distances(surface[0, :, :3].numpy())[1], atol=1e-6)


def test_shapes_that_are_drawn_in_memory_have_the_layout_of_files(data, monkeypatch):
    """With small views, which are compared in full size with `sdf_torch`: on a processor they take minutes."""
    monkeypatch.setattr(dataset, "VIEW_SIZE", 8)
    drawn = dataset.Dataset.drawn(2, SEED, "cpu")
    for name, (shape, _) in dataset.LAYOUT.items():
        assert name == "views" or getattr(drawn, name).shape == (2, *shape), name
        assert getattr(drawn, name).dtype == getattr(data, name).dtype, name
    assert torch.equal(drawn.seeds, data.seeds) and torch.equal(drawn.family, data.family)
    torch.testing.assert_close(drawn.primitives, data.primitives)
    for prop, points, sdf in zip(map(make_prop, (SEED, SEED + 1)), drawn.points, drawn.sdf, strict=True):
        np.testing.assert_allclose(sdf.float(), prop.distances(points.float().numpy())[0], atol=2e-3)


def test_looks_are_painted_on_shapes_of_their_family(data):
    family = dataset.FAMILY_NAMES[int(data.family[1])]
    batch = data.batch(np.random.default_rng(0), [dataset.Look(family, "red", "teal")] * 3)
    alike = (data.family == data.family[1]).nonzero().flatten().tolist()
    assert all(index in alike for index in batch.index.tolist())
    assert np.abs(batch.colors[:, 0].numpy() - COLORS["red"]).max() < 0.1
    assert np.abs(batch.colors[:, 1].numpy() - COLORS["teal"]).max() < 0.1
    assert not torch.equal(batch.colors[0], batch.colors[1]), "no two pots of paint are the same"


def test_looks_are_any_two_colours_and_usual_ones():
    rng = np.random.default_rng(0)
    looks = [dataset.draw_look(rng) for _ in range(600)]
    assert {look.family for look in looks} == set(FAMILIES)
    usual = np.mean([(look.first, look.second) == USUAL[look.family] for look in looks])
    assert 0.1 < usual < 0.25 and len({(look.first, look.second) for look in looks}) > 120


def test_a_stopped_run_goes_on_behind_the_last_whole_row(data, tmp_path):
    dataset.write(tmp_path, 2, SEED)
    seeds = np.load(tmp_path / "seeds.npy", mmap_mode="r+")
    seeds[1] = -1
    views = np.load(tmp_path / "views.npy", mmap_mode="r+")
    views[:] = 7
    dataset.write(tmp_path, 2, SEED)
    again = dataset.Dataset.open(tmp_path)
    assert again.seeds.tolist() == [SEED, SEED + 1]
    assert (again.views[0] == 7).all() and torch.equal(again.views[1], data.views[1])


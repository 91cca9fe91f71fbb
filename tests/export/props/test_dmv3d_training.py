"""What DMV3D learns from: its views, rays and points are of one and the same shape; and what it starts from."""

import numpy as np
import pytest
import torch

from meshwright.export.models.dmv3d import PlaneField
from meshwright.export.models.reconstructor import Reconstructor
from meshwright.export.props.training import dmv3d
from meshwright.export.props.training.run import Run
from meshwright.export.props.world import circle_views, dataset
from meshwright.export.props.world.circle_views import CIRCLE, NOVEL, PICTURE, SIZE, Setting
from meshwright.export.props.world.world import make_prop


class Truth(PlaneField):
    """A prop's own distance and colour, turned as `Shapes.turned` turns its points."""

    def __init__(self, prop, turn):
        super().__init__(1, 4)
        self.prop, self.turn = prop, np.radians(turn)
        self.sharpness.data.fill_(5.5)

    def forward(self, planes, points):
        x, y, z = points[0].numpy().T
        world = np.stack([np.cos(self.turn) * x - np.sin(self.turn) * y, np.sin(self.turn) * x + np.cos(self.turn) * y, z], axis=1)
        distance, color = self.prop.distances(world.astype(np.float32))
        return torch.from_numpy(distance)[None, :, None], torch.from_numpy(color)[None]


def turned_seed(family):
    return next(seed for seed in range(70_000_000, 70_001_000)
                if make_prop(seed).family == family and 20 < Setting.of(seed).turn < 340)


@pytest.mark.slow
def test_views_rays_and_points_agree_for_a_turned_shape():
    """Renderings of the true field along `rays_of` are the unlit views, those on the circle and those from elsewhere."""
    prop = make_prop(turned_seed("chair"))
    setting, weights = Setting.of(prop.seed), circle_views.seen(prop).astype(np.float32) / 255
    colors = np.zeros((weights.shape[1] - 1, 3), np.float32)
    for row in prop.primitives:
        colors[int(row[22])] = row[18:21]
    views = np.einsum("vshw,sc->vhwc", weights[:PICTURE, :-1], colors) + 1 - weights[:PICTURE, -1, :, :, None]
    lines = dmv3d.rays_of([setting])[0].permute(0, 2, 3, 1).flatten(1, 2)
    field = Truth(prop, setting.turn)
    with torch.no_grad():
        drawn = np.stack([field.render(torch.zeros(1, 3, 1, 2, 2), line[None], 160)[0][0].numpy() for line in lines])
    error = np.square(drawn.reshape(CIRCLE + NOVEL, SIZE, SIZE, 3) - views).mean(axis=(1, 2, 3))
    assert -10 * np.log10(error.max()) > 24


def test_points_turn_with_the_views(tmp_path):
    seed = turned_seed("chair")
    empty, turn = torch.empty(0), np.radians(Setting.of(seed).turn)
    data = dataset.Dataset(torch.tensor([seed]), torch.tensor([0]), empty, empty, empty, empty, empty, empty, empty)
    shapes = dmv3d.Shapes(Run(data, tmp_path, tmp_path))
    towards_the_first_camera = torch.tensor([[[np.cos(turn), np.sin(turn), 0.3]]], dtype=torch.float32)
    torch.testing.assert_close(shapes.turned(np.array([0]), towards_the_first_camera), torch.tensor([[[1.0, 0.0, 0.3]]]))


def test_views_are_made_once_and_go_on_where_they_stopped(tmp_path, monkeypatch):
    seeds = np.array([70_000_003, 70_000_004])
    monkeypatch.setattr(circle_views, "seen", lambda prop: np.full((PICTURE + 1, 6, SIZE, SIZE), prop.seed % 10, np.uint8))
    assert circle_views.write(tmp_path, seeds)[:, 0, 0, 0, 0].tolist() == [3, 4]
    done = np.load(tmp_path / "circle_seeds.npy", mmap_mode="r+")
    done[1] = 0
    monkeypatch.setattr(circle_views, "seen", lambda prop: np.full((PICTURE + 1, 6, SIZE, SIZE), 9, np.uint8))
    assert circle_views.write(tmp_path, seeds)[:, 0, 0, 0, 0].tolist() == [3, 9]


@torch.no_grad()
def test_it_starts_as_the_reconstructor(tmp_path):
    """Of the same view tokens, the same planes, whatever text and time say."""
    torch.manual_seed(0)
    known = Reconstructor(dmv3d.RECONSTRUCTOR).eval()
    torch.save({"average": known.state_dict()}, tmp_path / "reconstructor.pt")
    empty = torch.empty(0)
    model = dmv3d.start(Run(dataset.Dataset(*[empty] * 9), tmp_path, tmp_path)).eval()
    context = torch.randn(2, 12, dmv3d.CONFIG.encoder_width)
    model.encoder.forward = lambda views, rays, time: context
    views, rays = torch.zeros(2, 4, 3, SIZE, SIZE), torch.zeros(1, 4, 6, SIZE, SIZE)
    planes = model(views, rays, torch.tensor([10.0, 900.0]), torch.randn(2, 5, dmv3d.CONFIG.text_width))
    torch.testing.assert_close(planes, known.transformer(context), atol=1e-5, rtol=1e-4)

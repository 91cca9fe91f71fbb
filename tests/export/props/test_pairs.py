import numpy as np
import torch

from meshwright.export.props.training import pairs, shap_e
from meshwright.export.props.training.vae import build
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import orbit

SEED = 50_200_000


class Ball:
    """Stands where the autoencoder does: knows of every prop that it is a grey ball."""

    decoder = None

    def __init__(self):
        self.decoder = self

    def encoder(self, surface):
        assert surface.shape == (1, pairs.SURFACE, 6) and float(surface.abs().max()) <= 1
        return torch.zeros(1, 192, 32)

    def project(self, latent):
        assert latent.shape == (1, 192, 32) and float(latent.abs().max()) < 0.8
        return ()

    def field(self, weights, points):
        return 0.5 - points.norm(dim=-1, keepdim=True), torch.full_like(points, 0.5)


def test_shards_hold_what_was_promised_and_a_stopped_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "SHARD", 2)
    monkeypatch.setattr(pairs, "PICTURES", 1)
    vae = build().eval()
    pairs.write_shard(tmp_path / "shard-00000.npz", range(SEED, SEED + 2), Ball(), vae)
    data = pairs.Pairs.open(tmp_path)
    assert len(data) == 2 and data.pictures.shape == (2, 1, 128, 128, 3) and data.seeds.tolist() == [SEED, SEED + 1]
    assert data.coarse.shape == data.views.shape == (2, 4, 48, 32) and data.views.dtype == np.float16
    assert data.captions.tolist() == [make_prop(seed).captions(1)[0] for seed in (SEED, SEED + 1)]
    assert np.abs(make_prop(SEED).distances(data.surface[0])[0]).max() < 4e-3
    made = []
    monkeypatch.setattr(pairs, "averaged", lambda module, path: module)
    monkeypatch.setattr(pairs, "write_shard", lambda path, seeds, model, vae: made.append((path.name, list(seeds))))
    pairs._work(tmp_path, tmp_path, [0, 1, 2], range(SEED, SEED + 5))
    assert made == [("shard-00001.npz", [SEED + 2, SEED + 3]), ("shard-00002.npz", [SEED + 4])]


def test_latents_are_scaled_by_what_the_first_training_found(tmp_path):
    latents = np.random.default_rng(0).normal(3.0, 2.0, (40, 4, 6, 4)).astype(np.float16)
    data = pairs.Pairs(*(np.zeros((40, 1)) for _ in range(2)), latents, latents, np.zeros((40, 1)), np.arange(40), np.array(["a"] * 40))
    pairs.keep_statistics(data, tmp_path)
    scaled = data.scaled("coarse", tmp_path, torch.device("cpu"))
    assert abs(float(scaled.mean())) < 1e-3 and abs(float(scaled.std()) - 1) < 1e-3
    twice = pairs.Pairs(*(np.zeros((40, 1)) for _ in range(2)), 2 * latents, 2 * latents, np.zeros((40, 1)), np.arange(40), data.captions)
    pairs.keep_statistics(twice, tmp_path)
    assert float(twice.scaled("views", tmp_path, torch.device("cpu")).std()) > 1.9


def test_a_coarse_picture_shows_the_shape_from_the_six_views():
    prop, rng = make_prop(SEED), np.random.default_rng(0)
    picture = pairs.coarse_views(Ball(), prop, prop.surface(pairs.SURFACE, rng), rng)
    assert picture.shape == (384, 256, 3)
    seen = (picture < 0.99).any(axis=-1).reshape(3, 128, 2, 128).mean(axis=(1, 3))
    # A ball of radius 0.5 from 4 away fills pi (0.5 / tan 15 deg / sqrt(16 - 0.25) / 2)^2 of a picture.
    share = np.pi * (0.5 / np.sqrt(16 - 0.25) / np.tan(np.radians(15)) / 2) ** 2
    np.testing.assert_allclose(seen, share, rtol=0.03)
    assert len(orbit()) == 6 and shap_e.CONFIG.rows == 192

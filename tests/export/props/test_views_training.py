"""The networks that look at pictures: their shapes, what of them learns, and that the pack's components come of them."""

import dataclasses

import numpy as np
import pytest
import torch

from meshwright.export.props import pack
from meshwright.export.props.training import language, picture_prior, views
from meshwright.export.props.training.pairs import Pairs
from meshwright.export.props.training.run import Run
from meshwright.export.props.world.dataset import LAYOUT, Dataset


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return views.ViewsModel().eval()


def batch(count):
    return (torch.randn(count, 4, 48, 32), torch.full((count,), 999), torch.rand(count, 3, 128, 128), torch.randn(count, 4, 16, 16))


@torch.no_grad()
def test_views_are_drawn_from_the_picture_its_latents_and_the_sketch(model):
    noisy, timestep, picture, reference = batch(1)
    seen = torch.ones(1, dtype=torch.bool)
    drawn, sketch = model(noisy, timestep, picture, reference, seen)
    assert drawn.shape == (1, 4, 48, 32) and sketch.shape == (1, 4, 48, 32)
    for other in ((noisy, timestep, 1 - picture, reference, seen), (noisy, timestep, picture, -reference, seen)):
        assert (model(*other)[0] - drawn).abs().max() > 1e-4
    unseen = model(noisy, timestep, picture, reference, ~seen)[1]
    torch.testing.assert_close(model(noisy, timestep, 1 - picture, reference, ~seen)[1], unseen)


def test_encoder_and_sketch_learn_before_the_unet(tmp_path):
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(3, 4, 48, 32)).astype(np.float16)
    data = Pairs(rng.integers(0, 255, (3, 1, 128, 128, 3), np.uint8), np.zeros((3, 1)), latents, latents, np.zeros((3, 5, 3)), np.arange(3),
                 np.array(["a"] * 3))
    shapes = Dataset(**{name: torch.empty(0, *shape) for name, (shape, _) in LAYOUT.items()})
    own = views.ViewsModel()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    schedule = dataclasses.replace(views.LOOKING, steps=2, batch=2, warmup=1)
    views.learn_to_look(own, Run(shapes, tmp_path, tmp_path), data, torch.from_numpy(data.views).float(), schedule)
    changed = {".".join(name.split(".")[:2]) for name, value in own.state_dict().items() if not torch.equal(value, before[name])}
    assert "unet.sketch" in changed and "encoder.stem" in changed and "unet.unet" not in changed
    assert (tmp_path / "sketch.pt").exists() and all(p.requires_grad for p in own.parameters())


def test_the_exported_step_is_the_network_that_was_trained(model):
    encoder, step = pack.views_components(model)
    noisy, _, picture, reference = batch(1)
    states = encoder.module(picture)
    assert states.shape == (2, 65, 384) and not states[0].any()
    row = torch.tensor([999.0, 1, 0, -1, 0, 1, 0, 0, 1])
    with torch.no_grad():
        nothing = torch.zeros_like(noisy)
        drawn, _ = step.module(noisy, nothing, row, nothing, states, torch.cat([reference, reference]))
        direct, _ = model(noisy, torch.tensor([999]), picture, reference, torch.tensor([True]))
    torch.testing.assert_close(drawn, -direct, rtol=1e-3, atol=1e-3)
    assert [tensor.name for tensor in step.inputs] == ["latent", "previous", "row", "noise", "states", "reference"]


@pytest.mark.slow
def test_words_for_a_picture_become_the_states_of_their_caption():
    torch.manual_seed(0)
    words = picture_prior.PictureWords().eval().requires_grad_(False)
    assert picture_prior.learn_captions(words) < 0.1
    family, color = picture_prior.FAMILY_NAMES.index("mug"), picture_prior.NAMES.index
    chosen = zip(picture_prior.CLASSES, (family, color("red"), color("blue")), strict=True)
    said = words.caption(*(torch.eye(size)[[k]] for size, k in chosen))
    captions = ["a red mug with blue handle", "a red mug with white handle", "a green mug with blue handle", "a red barrel with blue hoops"]
    apart = (language.encode(captions).float() - said).square().mean(dim=(1, 2))
    assert int(apart.argmin()) == 0
    assert words(torch.rand(2, 3, 128, 128)).shape == (2, 32, 384)


def test_plain_captions_name_family_and_colours():
    assert picture_prior.plain_caption("mug", "red", "blue") == "a red mug with blue handle"

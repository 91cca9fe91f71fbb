"""Image encoders against the formulas of Zero123++ and Shap-E."""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

from meshwright.export.components.image_encoder import image_encoder, prior_image_encoder
from meshwright.export.spec import FP16, FP32
from tests.export.small import exported_error

PIXELS = dict(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711), size=28)
CONFIG = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
              projection_dim=12)
RAMP = [0.0, 0.25, -0.5, 1.0, 0.2]


@pytest.fixture
def image():
    torch.manual_seed(0)
    return torch.rand(1, 3, 28, 28)


def normalised(image):
    mean, std = (np.array(PIXELS[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
    return torch.from_numpy(((image.numpy() - mean) / std).astype(np.float32))


@torch.no_grad()
def test_the_embedding_is_added_to_the_empty_prompt_along_the_ramp(image):
    vision, empty = CLIPVisionModelWithProjection(CLIPVisionConfig(**CONFIG)).eval(), torch.randn(1, 5, 12)
    states = image_encoder(vision, empty, RAMP, **PIXELS).module(image)
    embedding = vision(normalised(image)).image_embeds
    assert states.shape == (2, 5, 12)
    torch.testing.assert_close(states[:1], empty, atol=0, rtol=0)  # no picture, and no ramp either
    for token, share in enumerate(RAMP):
        torch.testing.assert_close(states[1, token], empty[0, token] + share * embedding[0])


@torch.no_grad()
def test_the_prior_reads_the_patches_without_the_class_token(image):
    vision = CLIPVisionModel(CLIPVisionConfig(**CONFIG)).eval()
    spec = prior_image_encoder(vision, **PIXELS)
    states = spec.module(image)
    assert spec.kind == "prior_image_encoder" and states.shape == (1, 4, 16)
    # Before the final norm, which CLIP has for the class token only.
    torch.testing.assert_close(states, vision(normalised(image)).last_hidden_state[:, 1:])


@pytest.mark.slow
@pytest.mark.parametrize("precision, least", [(FP32, 0.0), (FP16, 1e-6)])
def test_graphs_agree_with_the_modules(tmp_path, precision, least):
    torch.manual_seed(0)
    config = CLIPVisionConfig(**CONFIG)
    specs = (image_encoder(CLIPVisionModelWithProjection(config).eval(), torch.randn(1, 5, 12), RAMP, **PIXELS, precision=precision),
             prior_image_encoder(CLIPVisionModel(config).eval(), **PIXELS, precision=precision))
    for spec in specs:
        assert exported_error(spec, tmp_path) >= least

"""Image encoders: a picture of the object to states for cross-attention (Zero123++) or for the prior (Shap-E)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..inputs import PICTURES
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import in_half


class _Normalised(nn.Module):
    """`model` behind the scaling of its pixels; mean and std one number a channel."""

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1), False)

    def seen(self, image: Tensor) -> Tensor:
        return self.model((image - self.mean) / self.std)


class RampedStates(_Normalised):
    """The states of the empty prompt, and the same with the picture's embedding added, more to some tokens than to others."""

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float], empty: Tensor, ramp: Sequence[float]) -> None:
        """empty : (1, T, D), states of the empty prompt; ramp : T numbers, how much of the embedding a token gets."""
        super().__init__(model, mean, std)
        self.register_buffer("empty", empty.detach().to(torch.float32), False)
        self.register_buffer("ramp", torch.tensor(ramp, dtype=torch.float32).reshape(1, -1, 1), False)

    def forward(self, image: Tensor) -> Tensor:
        """image (1, 3, h, w) in [0, 1] -> states (2, T, D), those without the picture first."""
        return torch.cat([self.empty, self.empty + self.seen(image).unsqueeze(1) * self.ramp])


class PatchStates(_Normalised):
    """The states of the patches: the condition of Shap-E's image prior."""

    def forward(self, image: Tensor) -> Tensor:
        """image (1, 3, h, w) in [0, 1] -> states (1, patches, D), rows of patches from the top."""
        return self.seen(image)[:, 1:]


class _Embedding(nn.Module):
    """The projected embedding of a CLIPVisionModelWithProjection as a plain tensor."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixels: Tensor) -> Tensor:
        return self.vision(pixels).image_embeds


class _LastStates(nn.Module):
    """The last hidden states of a CLIPVisionModel, the class token's first, as a plain tensor."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixels: Tensor) -> Tensor:
        return self.vision(pixels).last_hidden_state


def image_encoder(vision: nn.Module, empty_states: Tensor, ramp: Sequence[float], *, mean: Sequence[float], std: Sequence[float],
                  size: int, precision: Precision = FP16_STORED) -> ComponentSpec:
    """`vision` : CLIPVisionModelWithProjection, whose projection is as wide as the states.

    empty_states : (1, T, D), the text encoder's states of the empty prompt, which the graph keeps
    ramp : the T ramping_coefficients of model_index.json; mean, std, size : of feature_extractor_clip
    """
    model = _Embedding(vision)
    return _spec("image_encoder", RampedStates(in_half(model, precision), mean, std, empty_states, ramp),
                 RampedStates(model, mean, std, empty_states, ramp), size, precision)


def prior_image_encoder(vision: nn.Module, *, mean: Sequence[float], std: Sequence[float], size: int,
                        precision: Precision = FP16_STORED) -> ComponentSpec:
    """`vision` : the CLIPVisionModel of openai/shap-e-img2img; mean, std, size : of its image_processor."""
    model = _LastStates(vision)
    return _spec("prior_image_encoder", PatchStates(in_half(model, precision), mean, std), PatchStates(model, mean, std), size,
                 precision)


def _spec(kind: str, module: nn.Module, reference: nn.Module, size: int, precision: Precision) -> ComponentSpec:
    image = Input("image", (1, 3, size, size), uniform(0.0, 1.0), PICTURES)
    return ComponentSpec(kind, module, (image,), ("states",), precision=precision, reference=reference)

"""A UNet that looks at a picture while it draws: the reference attention of Zero123++ (arXiv 2310.15110, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Hook = Callable[[nn.Module, tuple, dict[str, Any]], tuple[tuple, dict[str, Any]]]


class ReferenceUNet(nn.Module):
    """Two passes of one network, the second of which attends to what the first one saw.

    The write pass runs over the reference latents and keeps what enters each self-attention; its output is unused.
    The read pass runs over the latents that are drawn: keys and values of each self-attention come from its own
    tokens followed by the kept ones, queries from its own. Cross-attention is as ever.

    unet : diffusers' UNet2DConditionModel, left as it is
    controlnet : diffusers' ControlNetModel; its residuals go to the read pass only
    """

    def __init__(self, unet: nn.Module, controlnet: nn.Module | None = None) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet

    def forward(self, sample: Tensor, reference: Tensor, timestep: Tensor, states: Tensor, control: Tensor | None = None,
                control_scale: Tensor | None = None) -> Tensor:
        """sample (2, 4, h, w), reference (2, 4, h', w'), both with the noise of timestep (2,); states (2, T, D).

        control : (1, 3, 8 h, 8 w) in [-1, 1] and control_scale : (), for the ControlNet
        Returns the prediction for `sample`. Row 0 of `reference` serves row 0 of `sample`, and row 1 row 1.
        """
        kept: dict[nn.Module, Tensor] = {}
        with _before_self_attention(self.unet, _writer(kept)):
            self.unet(reference, timestep, states, return_dict=False)
        residuals: dict[str, Any] = {}
        if self.controlnet is not None:
            down, mid = self.controlnet(sample, timestep, encoder_hidden_states=states, controlnet_cond=control,
                                        conditioning_scale=control_scale, return_dict=False)
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        with _before_self_attention(self.unet, _reader(kept)):
            return self.unet(sample, timestep, states, return_dict=False, **residuals)[0]


def _writer(kept: dict[nn.Module, Tensor]) -> Hook:
    def hook(layer: nn.Module, args: tuple, options: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        kept[layer] = args[0]
        return args, options

    return hook


def _reader(kept: dict[nn.Module, Tensor]) -> Hook:
    def hook(layer: nn.Module, args: tuple, options: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return args, {**options, "encoder_hidden_states": torch.cat([args[0], kept[layer]], dim=1)}

    return hook


@contextmanager
def _before_self_attention(unet: nn.Module, hook: Hook) -> Iterator[None]:
    """Calls `hook` with what each self-attention is about to get, and gives it what the hook returns instead."""
    layers = [layer for name, layer in unet.named_modules() if name.endswith(".attn1")]
    handles = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

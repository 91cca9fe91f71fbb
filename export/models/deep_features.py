"""A UNet that can leave out what lies below its last layer, whose features change little from step to step (DeepCache, arXiv 2312.00858).

The deep features are what enters the last residual layer of the last up block, beside what the first convolution made of the latents.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DEEP = "deep"


class DeepFeatures(nn.Module):
    """The whole of diffusers' UNet2DConditionModel, which is left as it is, and its deep features beside the prediction."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """sample (b, c, h, w), timestep (b,), states (b, T, D) -> prediction (b, 4, h, w), deep features (b, C, h, w)."""
        kept: list[Tensor] = []
        handle = self.unet.up_blocks[-1].resnets[-1].register_forward_pre_hook(lambda layer, args: kept.append(args[0]))
        try:
            prediction = self.unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]
        finally:
            handle.remove()
        return prediction, kept[0][:, :deep_channels(self.unet)]


class ShallowUNet(nn.Module):
    """What is left of the network once its deep features are known: the first convolution and the last layers."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        block = unet.up_blocks[-1]
        self.time_proj, self.time_embedding, self.conv_in = unet.time_proj, unet.time_embedding, unet.conv_in
        self.resnet, self.attention = block.resnets[-1], block.attentions[-1] if hasattr(block, "attentions") else None
        self.norm, self.act, self.conv_out = unet.conv_norm_out, unet.conv_act, unet.conv_out

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, deep: Tensor) -> Tensor:
        """As `DeepFeatures`, whose deep features of an earlier step are given -> prediction."""
        embedded = self.time_embedding(self.time_proj(timestep).to(sample.dtype))
        hidden = self.resnet(torch.cat([deep, self.conv_in(sample)], dim=1), embedded)
        if self.attention is not None:
            hidden = self.attention(hidden, encoder_hidden_states=encoder_hidden_states, return_dict=False)[0]
        return self.conv_out(self.act(self.norm(hidden)))


def deep_channels(unet: nn.Module) -> int:
    """C of the deep features."""
    return unet.up_blocks[-1].resnets[-1].conv1.in_channels - unet.conv_in.out_channels

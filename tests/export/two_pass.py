"""Reference attention written out plainly: two runs of a diffusers UNet with attention processors of our own."""

import copy

import torch
from diffusers import ControlNetModel, UNet2DConditionModel

WIDTH = 12
NET = dict(block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=[1, 2],
           cross_attention_dim=WIDTH, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"))


def networks():
    """A UNet and a ControlNet of the structure of Zero123++, with random weights."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=8, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **NET).eval()
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(4, 8, 8, 16), **NET).eval()
    for parameter in controlnet.parameters():
        if not parameter.any():  # the layers that start at zero, so that an untrained ControlNet changes nothing
            torch.nn.init.normal_(parameter, std=0.1)
    return unet, controlnet


class TwoPass:
    """softmax(q k / sqrt(d)) v; a self-attention stores its tokens when writing, and adds them to its own when reading."""

    def __init__(self, is_self):
        self.is_self, self.stored, self.mode = is_self, None, "write"

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None):
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if self.is_self and self.mode == "write":
            self.stored = source
        elif self.is_self:
            source = torch.cat([source, self.stored], dim=1)
        query, key, value = (project(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
                             for project, x in ((attn.to_q, hidden_states), (attn.to_k, source), (attn.to_v, source)))
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        return attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))


def two_passes(unet, sample, reference, timestep, states, **residuals):
    """The prediction for `sample`, of a copy of `unet`."""
    unet = copy.deepcopy(unet)
    processors = {name: TwoPass(is_self=".attn1." in name) for name in unet.attn_processors}
    unet.set_attn_processor(dict(processors))
    unet(reference, timestep, states)
    for processor in processors.values():
        processor.mode = "read"
    return unet(sample, timestep, states, **residuals).sample

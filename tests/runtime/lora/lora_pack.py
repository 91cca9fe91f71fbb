"""A pack whose only component is a refiner of diffusers' own layers, with random weights."""

import torch
from diffusers import UNet2DConditionModel

from meshwright.export import tiny
from meshwright.export.components.refiner import refiner
from meshwright.export.pack.writer import write_pack
from meshwright.export.spec import FP32

LATENT, TOKENS, WIDTH = (8, 4), 5, 12


def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=8, out_channels=4, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=WIDTH, use_linear_projection=True, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",)).eval()


def step(net, precision=FP32):
    return refiner(net, LATENT, (TOKENS, WIDTH), precision=precision)


def write(folder, precision=FP32, largest_file=10**9):
    """largest_file : weights of more bytes lie beside the graph"""
    tokenizer = folder / "tokenizer.json"
    folder.mkdir()
    tokenizer.write_text("{}")
    write_pack(folder / "pack", [step(unet(), precision)], tiny.manifest(), {"tokenizer.json": tokenizer}, largest_file=largest_file)
    return folder / "pack"

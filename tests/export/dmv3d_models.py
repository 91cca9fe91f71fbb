"""A small DMV3D of random weights, of which every part has an effect."""

import torch

from meshwright.export.models.dmv3d import DMV3D, DMV3DConfig

TOKENS = 5
CONFIG = DMV3DConfig(view_size=16, patch=8, position_grid=2, encoder_width=16, encoder_heads=2, encoder_depth=1, width=16, heads=2, depth=1,
                     tokens=4, upsample=2, channels=4, hidden=8, text_width=12, time_width=8)


def random_model(config: DMV3DConfig = CONFIG, gates: float = 0.3) -> DMV3D:
    """gates : how far the blocks are modulated; at 0 every gate is closed, as before training"""
    torch.manual_seed(0)
    model = DMV3D(config).eval()
    for block in model.layers:
        torch.nn.init.normal_(block.modulation[1].weight, std=gates)
        torch.nn.init.normal_(block.modulation[1].bias, std=gates)
    return model

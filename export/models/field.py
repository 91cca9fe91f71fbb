"""Reading a triplane at points: signed distance, deformation, FlexiCubes weights, colour."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Plane 0 is read at (x, y), plane 1 at (x, z), plane 2 at (z, y); the first coordinate runs along the width.
PLANE_AXES = ((0, 1), (0, 2), (2, 1))


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """planes (b, 3, c, h, w), points (b, n, 3) in [-1, 1] -> features (b, n, 3c); zero outside the planes."""
    batch, count = points.shape[:2]
    grid = torch.stack([points[..., axes] for axes in PLANE_AXES], dim=1)
    features = F.grid_sample(planes.flatten(0, 1), grid.flatten(0, 1).unsqueeze(1), mode="bilinear", padding_mode="zeros",
                             align_corners=False)
    return features.reshape(batch, -1, count).mT


def mlp(inner: int, hidden: int, outer: int) -> nn.Sequential:
    """Four linear layers with ReLU between them; keys 0, 2, 4, 6."""
    return nn.Sequential(nn.Linear(inner, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outer))


def to_color(logits: Tensor) -> Tensor:
    """What a network gives for a colour -> sRGB in [0, 1]; the sigmoid is stretched by a thousandth at either end, as published."""
    return (torch.sigmoid(logits) * 1.002 - 0.001).clamp(0.0, 1.0)


class _Heads(nn.Module):
    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.net_sdf, self.net_rgb, self.net_deformation = (mlp(3 * channels, hidden, n) for n in (1, 3, 3))
        self.net_weight = mlp(8 * 3 * channels, hidden, 21)


class FieldDecoder(nn.Module):
    """The small networks that read the planes; keys `synthesizer.*` of an InstantMesh mesh checkpoint."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.decoder = _Heads(channels, hidden)

    def geometry(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """planes (b, 3, c, h, w), points (b, n, 3) -> sdf (b, n, 1), negative inside, and deformation (b, n, 3) before its tanh."""
        features = sample_planes(planes, points)
        return self.decoder.net_sdf(features), self.decoder.net_deformation(features)

    def weights(self, planes: Tensor, corners: Tensor) -> Tensor:
        """corners (b, m, 8, 3) of m cubes in corner order -> weights (b, m, 21): beta 12, alpha 8, gamma 1, before their squashing."""
        features = sample_planes(planes, corners.flatten(1, 2)).unflatten(1, (corners.shape[1], 8))
        return self.decoder.net_weight(features.flatten(2)) * 0.1

    def color(self, planes: Tensor, points: Tensor) -> Tensor:
        """points (b, n, 3) -> sRGB (b, n, 3) in [0, 1]."""
        return to_color(self.decoder.net_rgb(sample_planes(planes, points)))

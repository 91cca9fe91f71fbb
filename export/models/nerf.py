"""Reading a triplane of InstantMesh's NeRF variant: density and colour at points."""

from torch import Tensor, nn
from torch.nn import functional as F

from .field import mlp, sample_planes, to_color


class _Net(nn.Module):
    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.net = mlp(3 * channels, hidden, 4)


class DensityDecoder(nn.Module):
    """One small network that reads the planes; keys `synthesizer.*` of an InstantMesh NeRF checkpoint."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.decoder = _Net(channels, hidden)

    def density(self, planes: Tensor, points: Tensor) -> Tensor:
        """planes (b, 3, c, h, w), points (b, n, 3) -> density (b, n, 1), 0 or more, large inside.

        This is softplus(sigma - 1), which the published threshold of 10 is meant for: the official code
        extracts its mesh from the density that it also renders, not from the network's bare sigma.
        """
        return F.softplus(self._read(planes, points)[..., :1] - 1.0)

    def color(self, planes: Tensor, points: Tensor) -> Tensor:
        """points (b, n, 3) -> sRGB (b, n, 3) in [0, 1]."""
        return to_color(self._read(planes, points)[..., 1:])

    def _read(self, planes: Tensor, points: Tensor) -> Tensor:
        return self.decoder.net(sample_planes(planes, points))

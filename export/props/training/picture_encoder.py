"""What a picture shows, as a row of states: convolutions down to patches, and a little transformer over them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of the pictures; the networks see (picture - MEAN) / STD.
MEAN, STD = (0.7, 0.7, 0.7), (0.3, 0.3, 0.3)
# How large the entries of the text states are that the networks were trained on.
SPREAD = 0.4


class _Conv(nn.Module):
    """Half the size, then a residual convolution."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.down, self.norm, self.conv = nn.Conv2d(inner, outer, 4, 2, 1), nn.GroupNorm(8, outer), nn.Conv2d(outer, outer, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.conv(F.silu(self.norm(x)))


class Block(nn.Module):
    """One layer of a transformer: states (b, n, width), each of which sees all."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class PictureEncoder(nn.Module):
    """Pictures (b, 3, 128, 128) in [0, 1] -> states (b, 65, 384): one of the whole picture, and those of its 8 x 8 patches."""

    def __init__(self, width: int = 160, depth: int = 3, states: int = 384):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 1, 1), _Conv(24, 32), _Conv(32, 64), _Conv(64, 96), _Conv(96, width))
        self.position_embed = nn.Parameter(torch.randn(1, 1 + 64, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width, 5) for _ in range(depth))
        self.norm, self.head, self.spread = nn.LayerNorm(width), nn.Linear(width, states), nn.LayerNorm(states)
        nn.init.constant_(self.spread.weight, SPREAD)
        for name, numbers in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(numbers).view(1, 3, 1, 1), False)

    def forward(self, picture: Tensor) -> Tensor:
        seen = self.stem((picture - self.mean) / self.std).flatten(2).mT
        x = F.pad(seen, (0, 0, 1, 0)) + self.position_embed
        for block in self.blocks:
            x = block(x)
        return self.spread(self.head(self.norm(x)))

"""The triplane transformer of InstantMesh (after LRM): learned plane tokens read the view tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


class CrossAttention(nn.Module):
    """Attention to tokens of another width, without biases; parameters named as in torch's MultiheadAttention."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = _matrix(width, width), _matrix(width, context), _matrix(width, context)
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = F.linear(x, self.q_proj_weight), F.linear(context, self.k_proj_weight), F.linear(context, self.v_proj_weight)
        return self.out_proj(_attend(q, k, v, self.heads))


class SelfAttention(nn.Module):
    """Self-attention without biases; q, k, v stacked in one matrix."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = _matrix(3 * width, width)
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = F.linear(x, self.in_proj_weight).chunk(3, dim=-1)
        return self.out_proj(_attend(q, k, v, self.heads))


class Block(nn.Module):
    """Pre-norm: cross-attention, self-attention, MLP."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=1e-5) for _ in range(3))
        self.cross_attn, self.self_attn = CrossAttention(width, context, heads), SelfAttention(width, heads)
        # Indices 0 and 3: the published Sequential holds a dropout after each linear layer.
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.cross_attn(self.norm1(x), context)
        x = x + self.self_attn(self.norm2(x))
        return x + self.mlp(self.norm3(x))


class TriplaneTransformer(nn.Module):
    """Tokens of the views to three feature planes; keys `transformer.*` of an InstantMesh checkpoint."""

    def __init__(self, width: int, context: int, heads: int, depth: int, tokens: int, channels: int, upsample: int):
        super().__init__()
        self.tokens = tokens
        self.pos_embed = nn.Parameter(torch.randn(1, 3 * tokens**2, width) * width**-0.5)
        self.layers = nn.ModuleList(Block(width, context, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.deconv = nn.ConvTranspose2d(width, channels, upsample, upsample)

    def forward(self, context: Tensor) -> Tensor:
        """context (b, n, context width) -> planes (b, 3, channels, tokens * upsample, tokens * upsample)."""
        batch = context.shape[0]
        x = self.pos_embed.expand(batch, -1, -1)
        for layer in self.layers:
            x = layer(x, context)
        x = self.norm(x).unflatten(1, (3, self.tokens, self.tokens)).flatten(0, 1)
        planes = self.deconv(x.permute(0, 3, 1, 2))
        return planes.unflatten(0, (batch, 3))

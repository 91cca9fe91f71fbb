"""The camera-modulated ViT of InstantMesh: DINO ViT with adaptive layer norms driven by each view's camera."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Patches(nn.Module):
    def __init__(self, width: int, patch: int):
        super().__init__()
        self.projection = nn.Conv2d(3, width, patch, patch)


class Embeddings(nn.Module):
    """Patch embeddings, CLS token and a position table made for `position_grid` x `position_grid` patches."""

    def __init__(self, width: int, patch: int, position_grid: int):
        super().__init__()
        self.grid = position_grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.randn(1, position_grid**2 + 1, width) * 0.02)
        self.patch_embeddings = _Patches(width, patch)

    def positions(self, grid: int) -> Tensor:
        """The table for `grid` x `grid` patches; resized as DINO does, by a scale factor and not to a size."""
        if grid == self.grid:
            return self.position_embeddings
        table = self.position_embeddings[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        # The factor (grid + 0.1) / table moves every sample a little: trained weights expect exactly that.
        scale = (grid + 0.1) / self.grid
        table = F.interpolate(table, scale_factor=(scale, scale), mode="bicubic", align_corners=False, recompute_scale_factor=False)
        return torch.cat([self.position_embeddings[:, :1], table.flatten(2).mT], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """images (n, 3, h, h) -> tokens (n, 1 + patches, width), CLS first."""
        patches = self.patch_embeddings.projection(images)
        tokens = torch.cat([self.cls_token.expand(images.shape[0], -1, -1), patches.flatten(2).mT], dim=1)
        return tokens + self.positions(patches.shape[-1])


class _Heads(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))


class _Dense(nn.Module):
    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.dense = nn.Linear(inner, outer)


class Attention(nn.Module):
    """Full self-attention with biases, named as in the published files."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention, self.output = _Heads(width), _Dense(width, width)

    def forward(self, x: Tensor) -> Tensor:
        maps = (self.attention.query, self.attention.key, self.attention.value)
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in maps)
        return self.output.dense(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Pre-norm block; SiLU and a linear map of the camera give shift and scale of both norms. No gates."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = Attention(width, heads)
        self.intermediate, self.output = _Dense(width, 4 * width), _Dense(4 * width, width)
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * width))

    def forward(self, x: Tensor, camera: Tensor) -> Tensor:
        shift1, scale1, shift2, scale2 = self.adaLN_modulation(camera).unsqueeze(1).chunk(4, dim=-1)
        x = x + self.attention(self.layernorm_before(x) * (1 + scale1) + shift1)
        hidden = F.gelu(self.intermediate.dense(self.layernorm_after(x) * (1 + scale2) + shift2))
        return x + self.output.dense(hidden)


class _Stack(nn.Module):
    def __init__(self, width: int, heads: int, depth: int):
        super().__init__()
        self.layer = nn.ModuleList(Layer(width, heads) for _ in range(depth))


class _Model(nn.Module):
    def __init__(self, width, heads, depth, patch, position_grid):
        super().__init__()
        self.embeddings = Embeddings(width, patch, position_grid)
        self.encoder = _Stack(width, heads, depth)
        self.layernorm = nn.LayerNorm(width, eps=1e-12)


class ViewEncoder(nn.Module):
    """Views and cameras to tokens; keys `encoder.*` of an InstantMesh checkpoint."""

    def __init__(self, width: int, heads: int, depth: int, patch: int, position_grid: int):
        super().__init__()
        self.model = _Model(width, heads, depth, patch, position_grid)
        self.camera_embedder = nn.Sequential(nn.Linear(16, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, views: Tensor, cameras: Tensor) -> Tensor:
        """views (b, v, 3, h, h) in [0, 1], cameras (b, v, 16) -> tokens (b, v * (1 + patches), width)."""
        batch = views.shape[0]
        camera = self.camera_embedder(cameras.flatten(0, 1))
        # The published preprocessor normalises by mean = std = 0.5.
        x = self.model.embeddings(views.flatten(0, 1) * 2 - 1)
        for layer in self.model.encoder.layer:
            x = layer(x, camera)
        x = self.model.layernorm(x)
        return x.reshape(batch, -1, x.shape[-1])

"""The VAE (f8, 4 channels): an AutoencoderKL of diffusers at small size, trained on single views."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from .loop import Schedule, fit
from .run import Run

SIZES = dict(in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(16, 32, 64, 96), layers_per_block=1,
             norm_num_groups=8, sample_size=128, mid_block_add_attention=False,
             down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
CROP = 64
SCHEDULE = Schedule(steps=1800, batch=32, lr=2e-3, matrix_lr=4e-3, warmup=60)


def build() -> AutoencoderKL:
    return AutoencoderKL(**SIZES)


def crops(run: Run, rng, count: int) -> Tensor:
    """Squares cut from random views (count, 3, CROP, CROP) float32 in [-1, 1]; f8 codes are local, so a crop teaches as much a pixel."""
    views = run.data.any(rng, count).view(run.tensor(rng.integers(6, size=count)))
    corners = rng.integers(0, views.shape[-1] - CROP + 1, (count, 2)).tolist()
    return torch.stack([view[:, y:y + CROP, x:x + CROP] for view, (y, x) in zip(views, corners, strict=True)]) * 2 - 1


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def train(run: Run, schedule: Schedule = SCHEDULE) -> AutoencoderKL:
    model = build().to(run.device)

    def loss(rng):
        images = crops(run, rng, schedule.batch)
        with run.half():
            posterior = model.encode(images).latent_dist
            decoded = model.decode(posterior.sample()).sample
        decoded = decoded.float()
        # The background is most of every picture, so what differs from white counts more.
        weight = 1 + 3 * ((images < 0.99).any(dim=1, keepdim=True)).float()
        pixel = ((decoded - images).abs() * weight).mean() / weight.mean()
        edge = sum(F.l1_loss(a, b) for a, b in zip(_edges(decoded), _edges(images), strict=True))
        kl = posterior.kl().float().mean() / posterior.mean[0].numel()
        mse = (decoded.detach() - images).square().mean()
        return {"loss": pixel + 0.5 * edge + 1e-3 * kl, "pixel": pixel.detach(), "kl": kl.detach(), "psnr": 10 * torch.log10(4 / mse)}

    return fit(model, loss, schedule, run.out / "vae.pt")

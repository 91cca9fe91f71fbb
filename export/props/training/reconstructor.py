"""The reconstructor: six views, true ones and such as it meets in practice -> triplane -> distance and unlit colour at points."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.field import sample_planes
from ...models.reconstructor import Reconstructor, ReconstructorConfig
from ..world.cameras import camera_vectors
from ..world.dataset import NEAR, POINTS, WIDE
from .loop import Schedule, fit
from .met_views import MetViews
from .run import Run

CONFIG = ReconstructorConfig(view_size=128, patch=16, position_grid=8, encoder_width=192, encoder_heads=6, encoder_depth=3,
                             width=192, heads=6, depth=5, tokens=10, upsample=4, channels=24, hidden=64)
TRUNCATION = 0.15
# Share of the views that other networks drew.
MET = 0.6
SCHEDULE = Schedule(steps=2300, batch=12, lr=1e-3, matrix_lr=2e-3, warmup=150)


def worsened(views: Tensor, rng: np.random.Generator) -> Tensor:
    """Views (b, 6, 3, h, w) as no network draws them yet but some other may: each blurred, moved, bent and tinted a little by itself.

    How much differs from prop to prop; some stay as they are.
    """
    batch, count = views.shape[:2]
    much = torch.from_numpy((rng.random((batch, 1)) * (rng.random((batch, 1)) < 0.8)).astype(np.float32)).expand(-1, count).flatten()

    def drawn(*shape: int) -> Tensor:
        values = torch.from_numpy(rng.normal(size=(batch * count, *shape)).astype(np.float32))
        return (values * much.view(-1, *[1] * len(shape))).to(views.device)

    flat = views.flatten(0, 1)
    pose = torch.eye(2, 3, device=views.device) + drawn(2, 3) * torch.tensor([0.02, 0.02, 0.015], device=views.device)
    bend = F.interpolate(0.012 * drawn(2, 5, 5), size=flat.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    where = F.affine_grid(pose, list(flat.shape), align_corners=False) + bend
    moved = 1 - F.grid_sample(1 - flat, where, mode="bilinear", align_corners=False)
    blurred = F.interpolate(F.avg_pool2d(moved, 4), scale_factor=4, mode="bilinear")
    share = much.to(views.device).view(-1, 1, 1, 1)
    hazy = moved + share * (blurred - moved)
    tinted = hazy + 0.04 * drawn(3, 1, 1) * (hazy < 0.97).any(dim=1, keepdim=True)
    return (tinted + 0.02 * share * torch.randn_like(tinted)).view_as(views).clamp(0, 1)


def losses(sdf: Tensor, rgb: Tensor, true_sdf: Tensor, color: Tensor) -> dict[str, Tensor]:
    """L1 on the truncated distance, with more weight near the surface; L1 on the colour near the surface."""
    target = true_sdf.clamp(-TRUNCATION, TRUNCATION)
    near = (true_sdf.abs() < 0.05).float()
    guess = sdf.clamp(-2 * TRUNCATION, 2 * TRUNCATION)
    distance = ((guess - target).abs() * (1 + 2 * near)).mean() / TRUNCATION
    side = F.binary_cross_entropy_with_logits(-sdf / 0.02, (true_sdf < 0).float())
    hue = ((rgb - color).abs() * near).sum() / near.sum().clamp(min=1) / 3
    return {"loss": distance + 0.2 * side + 0.5 * hue, "distance": distance.detach(), "side": side.detach(), "color": hue.detach()}


def train(run: Run, schedule: Schedule = SCHEDULE) -> Reconstructor:
    """reconstructor.pt; needs pairs, refiner.pt, and for views drawn from pictures views.pt."""
    model, met = Reconstructor(CONFIG).to(run.device), MetViews(run)
    cameras = torch.from_numpy(camera_vectors()).to(run.device)
    others = round(schedule.batch * MET)

    def loss(rng):
        true = run.data.any(rng, schedule.batch - others)
        rows, drawn = met.batch(rng, others)
        columns = run.columns(rng, (0, NEAR + WIDE, 1024), (NEAR + WIDE, POINTS, 384))
        near = [true.field(columns), met.field(rng, rows, 683, 341, 384)]
        points, sdf, color = (torch.cat(parts) for parts in zip(*near, strict=True))
        views = torch.cat([worsened(true.views(), rng), drawn])
        with run.half():
            planes = model(views, cameras.expand(len(views), -1, -1))
            features = sample_planes(planes.float(), points)
            heads = model.synthesizer.decoder
            guess, rgb = heads.net_sdf(features).float(), heads.net_rgb(features).float()
        wrong = ((guess < 0) != (sdf < 0)).float().mean(dim=(1, 2))
        return losses(guess, torch.sigmoid(rgb) * 1.002 - 0.001, sdf, color) | {
            "wrong_true": wrong[:len(wrong) - others].mean(), "wrong_met": wrong[len(wrong) - others:].mean()}

    return fit(model, loss, schedule, run.out / "reconstructor.pt")

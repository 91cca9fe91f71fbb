"""The reconstructor: six true views -> triplane -> distance and unlit colour at points.

    python -m meshwright.export.props.training.reconstructor --data DIR --out CHECKPOINTS
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.field import sample_planes
from ...models.reconstructor import Reconstructor, ReconstructorConfig
from ..world.cameras import camera_vectors
from ..world.dataset import NEAR, WIDE, Dataset
from .command import run
from .loop import Schedule, fit
from .shap_e import field_batch

CONFIG = ReconstructorConfig(view_size=128, patch=16, position_grid=8, encoder_width=192, encoder_heads=6, encoder_depth=3,
                             width=192, heads=6, depth=5, tokens=10, upsample=4, channels=24, hidden=64)
TRUNCATION = 0.15
SCHEDULE = Schedule(steps=2300, batch=12, lr=1e-3, matrix_lr=2e-3, warmup=150)


def view_batch(data: Dataset, index) -> Tensor:
    """Views of some props (b, 6, 3, 128, 128) float32 in [0, 1]."""
    return torch.from_numpy(data.views[index]).permute(0, 1, 4, 2, 3).float() / 255


def soften(views: Tensor, rng) -> Tensor:
    """What generated views look like beside rendered ones: a little blur and a little noise, on half of the batch."""
    blurred = F.interpolate(F.avg_pool2d(views.flatten(0, 1), 2), scale_factor=2, mode="bilinear").view_as(views)
    keep = torch.from_numpy(rng.random((len(views), 1, 1, 1, 1)) * (rng.random((len(views), 1, 1, 1, 1)) < 0.5)).float()
    return (views + keep * (blurred - views) + 0.02 * keep * torch.randn_like(views)).clamp(0, 1)


def losses(sdf: Tensor, rgb: Tensor, true_sdf: Tensor, color: Tensor) -> dict[str, Tensor]:
    """L1 on the truncated distance, with more weight near the surface; L1 on the colour near the surface."""
    target = true_sdf.clamp(-TRUNCATION, TRUNCATION)
    near = (true_sdf.abs() < 0.05).float()
    guess = sdf.clamp(-2 * TRUNCATION, 2 * TRUNCATION)
    distance = ((guess - target).abs() * (1 + 2 * near)).mean() / TRUNCATION
    side = F.binary_cross_entropy_with_logits(-sdf / 0.02, (true_sdf < 0).float())
    hue = ((rgb - color).abs() * near).sum() / near.sum().clamp(min=1) / 3
    return {"loss": distance + 0.2 * side + 0.5 * hue, "distance": distance.detach(), "side": side.detach(), "color": hue.detach()}


def train(data: Dataset, out) -> Reconstructor:
    model = Reconstructor(CONFIG)
    cameras = torch.from_numpy(camera_vectors()).expand(SCHEDULE.batch, -1, -1)

    def loss(rng):
        index = rng.integers(len(data), size=SCHEDULE.batch)
        columns = rng.permutation(NEAR + WIDE)[:1024].tolist() + (NEAR + WIDE + rng.permutation(1024)[:384]).tolist()
        points, sdf, color = field_batch(data, index, columns)
        with torch.autocast("cpu", torch.bfloat16):
            planes = model(soften(view_batch(data, index), rng), cameras)
            features = sample_planes(planes.float(), points)
            heads = model.synthesizer.decoder
            guess, rgb = heads.net_sdf(features), heads.net_rgb(features)
        return losses(guess.float(), torch.sigmoid(rgb.float()) * 1.002 - 0.001, sdf, color)

    return fit(model, loss, SCHEDULE, out / "reconstructor.pt")


if __name__ == "__main__":
    run(train, __doc__)

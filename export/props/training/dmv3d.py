"""DMV3D's denoiser (arXiv 2311.09217): four noisy views, a caption or a clean first view -> planes, seen again from anywhere.

As the paper trains: MSE on renderings of the views that went in and of others, half of the batches with a clean first view. What is
ours: for props distance and colour are known at every point, so the field learns from these too (`reconstructor.losses`), which on a
processor teaches far faster than renderings alone; the renderings then teach how sharp an edge is. And it starts from the reconstructor,
the same network without time and text.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....runtime.geometry.cameras import camera_vectors, orbit, rays
from ...models.dmv3d import DMV3D, DMV3DConfig
from ...models.reconstructor import Reconstructor
from ..world import circle_views, sdf_torch
from ..world.circle_views import CIRCLE, PICTURE, SIZE, Setting
from ..world.dataset import FAMILY_NAMES, NEAR, POINTS, WIDE, Batch, Look
from ..world.sdf_torch import SLOTS
from . import shap_e
from .diffusion import alphas_cumprod, first_steps, noised
from .language import Captions
from .loop import Schedule, averaged, fit
from .reconstructor import CONFIG as RECONSTRUCTOR
from .reconstructor import losses
from .run import Run

CONFIG = DMV3DConfig(view_size=SIZE, patch=8, position_grid=8, encoder_width=192, encoder_heads=6, encoder_depth=3, width=192, heads=6,
                     depth=5, tokens=10, upsample=4, channels=24, hidden=64, text_width=384, time_width=64)
SCHEDULE = Schedule(steps=4000, batch=8, lr=8e-4, matrix_lr=1.2e-3, warmup=60, ema=0.997)
# How often a caption is left out: beside noise alone, and beside a clean first view. How often the noisiest step is practised.
DROP_TEXT, DROP_BESIDE_PICTURE, FIRST_STEP = 0.1, 0.6, 0.15
RAYS, SAMPLES = 192, 40


def rays_of(settings: list[Setting]) -> Tensor:
    """(b, 6, 6, 64, 64): origins and directions of the six views of each, as seen from their first cameras."""
    return torch.stack([torch.from_numpy(np.concatenate(rays(each.cameras(turned=False), SIZE), axis=-1)) for each in settings]
                       ).permute(0, 1, 4, 2, 3)


class Shapes:
    """The shapes of a run with their circles of views."""

    def __init__(self, run: Run) -> None:
        self.run, seeds = run, run.data.seeds.cpu().numpy()
        self.weights = torch.from_numpy(circle_views.write(run.out, seeds))
        self.settings = [Setting.of(int(seed)) for seed in seeds]
        family, upright = run.data.family.cpu().numpy(), np.array([setting.turn == 0 for setting in self.settings])
        self.rows = {(name, turned): np.flatnonzero((family == k) & (upright | turned)) for k, name in enumerate(FAMILY_NAMES)
                     for turned in (False, True)}

    def batch(self, rng: np.random.Generator, looks: list[Look], clean: np.ndarray) -> tuple[Batch, np.ndarray, Tensor]:
        """A shape for each look: painted, its row (b,), and its seven views with coverage (b, 7, 4, 64, 64). clean : (b,) bool, it may be
        turned"""
        chosen = [self.rows[look.family, bool(turned)] for look, turned in zip(looks, clean, strict=True)]
        index = np.array([int(rng.choice(rows)) if len(rows) else int(rng.integers(len(self.settings))) for rows in chosen])
        batch = self.run.data.painted(index, looks, rng)
        weights = self.weights[torch.from_numpy(index)].to(self.run.device).float() / 255
        colors = sdf_torch.colored(weights, batch.colors).clamp(0, 1)
        return batch, index, torch.cat([colors, weights[:, :, SLOTS:]], dim=2)

    def turned(self, index: np.ndarray, points: Tensor) -> Tensor:
        """Points (b, n, 3) of the world as the first cameras of these rows see them: turned about the vertical."""
        angle = self.run.tensor(np.radians([self.settings[i].turn for i in index]).astype(np.float32)).unsqueeze(-1)
        x, y, z = points.unbind(dim=-1)
        return torch.stack([angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x, z], dim=-1)


def as_taken(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures (b, 3, 64, 64) on white, with the exposure, cast and noise of a camera."""
    device, count = pictures.device, len(pictures)
    gain = torch.from_numpy((rng.uniform(0.85, 1.1, (count, 1, 1, 1)) * (1 + rng.normal(0, 0.03, (count, 3, 1, 1)))).astype(np.float32))
    noise = torch.from_numpy(rng.uniform(0, 0.03, (count, 1, 1, 1)).astype(np.float32)).to(device)
    covered = (pictures < 0.99).any(dim=1, keepdim=True)
    return torch.where(covered, pictures * gain.to(device) + noise * torch.randn_like(pictures), pictures).clamp(0, 1)


def start(run: Run) -> DMV3D:
    """Everything that the reconstructor has too is its own: blocks, position tables, planes; the patches' pixels, at half the size."""
    model, known = DMV3D(CONFIG), averaged(Reconstructor(RECONSTRUCTOR), run.out / "reconstructor.pt")
    encoder, stack = model.encoder, known.encoder.model
    pixels = stack.embeddings.patch_embeddings.projection
    with torch.no_grad():
        camera = known.encoder.camera_embedder(torch.from_numpy(camera_vectors(orbit()))).mean(dim=0)
        encoder.time.weight.zero_()
        encoder.time.bias.copy_(camera)
        patches = encoder.embeddings.patch_embeddings.projection
        patches.weight.mul_(0.1)
        patches.weight[:, :3] = F.avg_pool2d(pixels.weight, 2) * 4
        patches.bias.copy_(pixels.bias)
        encoder.embeddings.cls_token.copy_(stack.embeddings.cls_token)
        encoder.embeddings.position_embeddings.copy_(stack.embeddings.position_embeddings)
        model.pos_embed.copy_(known.transformer.pos_embed)
        for block in model.layers:
            block.text_attn.out_proj.weight.zero_()
            # Every gate open: it goes on as what it was.
            block.modulation[1].bias.view(4, 3, -1)[:, 2] = 1.0
    encoder.layer.load_state_dict(stack.encoder.layer.state_dict())
    encoder.layernorm.load_state_dict(stack.layernorm.state_dict())
    model.norm.load_state_dict(known.transformer.norm.state_dict())
    model.deconv.load_state_dict(known.transformer.deconv.state_dict())
    for mine, theirs in zip(model.layers, known.transformer.layers, strict=True):
        mine.load_state_dict(theirs.state_dict(), strict=False)
    return model


def train(run: Run, schedule: Schedule = SCHEDULE) -> DMV3D:
    """dmv3d.pt; needs reconstructor.pt."""
    shapes, captions = Shapes(run), Captions.drawn(shap_e.CAPTIONS, run.out / "captions.pt", run.device)
    model, table = start(run).to(run.device), alphas_cumprod().to(run.device)

    def loss(rng):
        clean = np.arange(schedule.batch) % 2 == 1
        looks, states = captions.draw(rng, schedule.batch, 0.0)
        left_out = rng.random(schedule.batch) < np.where(clean, DROP_BESIDE_PICTURE, DROP_TEXT)
        states[run.tensor(left_out)] = captions.states[0].float()
        batch, index, views = shapes.batch(rng, looks, clean)
        seen_from = rays_of([shapes.settings[i] for i in index]).to(run.device)
        timestep = run.tensor(first_steps(rng, schedule.batch, FIRST_STEP))
        noisy = noised(views[:, :CIRCLE, :3] * 2 - 1, timestep, table)[0]
        picture = as_taken(views[:, PICTURE, :3], rng) * 2 - 1
        noisy[:, 0] = torch.where(run.tensor(clean).view(-1, 1, 1, 1), picture, noisy[:, 0])
        points, sdf, color = batch.field(run.columns(rng, (0, NEAR, 640), (NEAR, NEAR + WIDE, 160), (NEAR + WIDE, POINTS, 352)))
        along, target = some_rays(seen_from, views[:, :PICTURE])
        with run.half():
            planes = model(noisy, seen_from[:, :CIRCLE], timestep, states)
            guess, rgb = model.field(planes.float(), shapes.turned(index, points))
            drawn, coverage = model.field.render(planes.float(), along, SAMPLES, torch.rand(1, RAYS, SAMPLES, device=run.device))
        terms = losses(guess, rgb, sdf, color)
        image = F.mse_loss(drawn, target[..., :3])
        mask = F.mse_loss(coverage, target[..., 3:])
        return {**terms, "loss": terms["loss"] + 4 * image + mask, "image": image.detach(), "mask": mask.detach()}

    return fit(model, loss, schedule, run.out / "dmv3d.pt")


def some_rays(seen_from: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    """RAYS of each object's rays (b, n, 6), and what they see (b, n, 4): colour and coverage. More of them where there is something.

    seen_from : (b, v, 6, h, w); views : (b, v, 4, h, w)
    """
    rows = torch.cat([seen_from, views], dim=2).movedim(2, -1).flatten(1, 3)
    chosen = torch.multinomial((rows[..., -1] > 0).float() + 0.5, RAYS)
    return rows.gather(1, chosen.unsqueeze(-1).expand(-1, -1, rows.shape[-1])).split((6, 4), dim=-1)

"""The reconstructor: six views, true ones and such as it meets in practice -> triplane -> distance and unlit colour at points."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....runtime.geometry.cameras import camera_vectors, orbit
from ...models.field import sample_planes
from ...models.reconstructor import Reconstructor, ReconstructorConfig
from ..world import sdf_torch
from ..world.dataset import EXTENT, NEAR, POINTS, WIDE
from ..world.world import make_prop
from .diffusion import STEPS, alphas_cumprod
from .language import encode
from .loop import Schedule, averaged, fit
from .pairs import Pairs, statistics
from .refiner import build as build_refiner
from .run import Run
from .vae import build as build_vae
from .views import ViewsModel, latents

CONFIG = ReconstructorConfig(view_size=128, patch=16, position_grid=8, encoder_width=192, encoder_heads=6, encoder_depth=3,
                             width=192, heads=6, depth=5, tokens=10, upsample=4, channels=24, hidden=64)
TRUNCATION = 0.15
# Share of the views that other networks drew.
GENERATED_SHARE = 0.6
SCHEDULE = Schedule(steps=2300, batch=12, lr=1e-3, matrix_lr=2e-3, warmup=150)
# Drawing costs a processor about as much as learning from what is drawn, so there each drawing is used some times over.
KEPT, FRESH_ON_CPU = 4096, 0.25


class GeneratedViews:
    """Views as the reconstructor meets them in practice: drawn by the refiner from coarse views, and by the views' network from pictures.

    They are hazy and disagree with each other, and a reconstructor that knows true views alone tears surfaces where they do. Of the
    props of `pairs`; from pictures only where views.pt is there already.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.pairs = run, Pairs.open(run.pairs)
        self.coarse = self.pairs.scaled("coarse", run.out, run.device)
        self.states = encode(["", *self.pairs.captions.tolist()], device=run.device).to(run.device)
        self.mean, self.std = (part.to(run.device) for part in statistics(run.out))
        self.refiner = averaged(build_refiner(), run.out / "refiner.pt").to(run.device)
        self.vae = averaged(build_vae(), run.out / "vae.pt").to(run.device)
        known = (run.out / "views.pt").exists()
        self.painter = averaged(ViewsModel(), run.out / "views.pt").to(run.device) if known else None
        self.first = alphas_cumprod()[-1].item()
        self.kept: list[tuple[int, Tensor]] = []

    def batch(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, Tensor]:
        """Rows of the pairs (count,), and their views (count, 6, 3, 128, 128) float32 in [0, 1]."""
        share = 1.0 if self.run.device.type == "cuda" else FRESH_ON_CPU
        fresh = count if len(self.kept) < 4 * count else int((rng.random(count) < share).sum())
        rows, views = [], []
        if fresh:
            drawn = rng.integers(len(self.pairs), size=fresh)
            views.append(self.draw(rng, drawn))
            rows.append(drawn)
            self._keep(drawn, views[0])
        if fresh < count:
            picked = [self.kept[int(k)] for k in rng.integers(len(self.kept), size=count - fresh)]
            rows.append(np.array([row for row, _ in picked]))
            views.append(torch.stack([view for _, view in picked]).to(self.run.device).float() / 255)
        return np.concatenate(rows), torch.cat(views)

    @torch.no_grad()
    def draw(self, rng: np.random.Generator, rows: np.ndarray) -> Tensor:
        """Views (b, 6, 3, 128, 128) of these rows, some by either network, each in one step as the pack does it."""
        by_picture = self.painter is not None and rng.random() < 0.4
        noise = torch.randn(len(rows), 4, 48, 32, device=self.run.device)
        timestep = torch.full((len(rows),), STEPS - 1, device=self.run.device)
        with self.run.half():
            v = self._painted(rng, rows, noise, timestep) if by_picture else self._refined(rows, noise, timestep)
            clean = self.first**0.5 * noise - (1 - self.first) ** 0.5 * v.float()
            image = torch.cat([self.vae.decode(part).sample for part in (clean * self.std + self.mean).split(4)]).float()
        return (image.unflatten(2, (3, -1)).unflatten(4, (2, -1)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2) / 2 + 0.5).clamp(0, 1)

    def _refined(self, rows: np.ndarray, noise: Tensor, timestep: Tensor) -> Tensor:
        index = self.run.tensor(rows)
        return self.refiner(torch.cat([noise, self.coarse[index]], dim=1), timestep,
                            encoder_hidden_states=self.states[index + 1].float()).sample

    def _painted(self, rng: np.random.Generator, rows: np.ndarray, noise: Tensor, timestep: Tensor) -> Tensor:
        pictures = self.pairs.pictures[rows, rng.integers(self.pairs.pictures.shape[1], size=len(rows))]
        picture = self.run.tensor(pictures).permute(0, 3, 1, 2).float() / 255
        reference = latents(self.vae, picture, self.mean, self.std)
        assert self.painter is not None  # asked for only where the views' network is there
        return self.painter(noise, timestep, picture, reference, torch.ones(len(rows), dtype=torch.bool, device=noise.device))[0]

    def _keep(self, rows: np.ndarray, views: Tensor) -> None:
        if self.run.device.type == "cuda":
            return
        self.kept += zip(rows.tolist(), (views * 255 + 0.5).byte(), strict=True)
        self.kept = self.kept[-KEPT:]

    def field(self, rng: np.random.Generator, rows: np.ndarray, near: int, wide: int, anywhere: int) -> tuple[Tensor, Tensor, Tensor]:
        """Points (b, n, 3), their true distance (b, n, 1) and colour (b, n, 3), spread as those of `Dataset`."""
        props = sdf_torch.stacked([make_prop(int(seed)).primitives for seed in self.pairs.seeds[rows]], self.run.device)
        surface = self.run.tensor(self.pairs.surface[rows][:, rng.integers(self.pairs.surface.shape[1], size=near + wide)]).float()
        spread = self.run.tensor(np.repeat(np.array([0.02, 0.08], np.float32), [near, wide])).unsqueeze(-1)
        free = (torch.rand(len(rows), anywhere, 3, device=self.run.device) * 2 - 1) * EXTENT
        points = torch.cat([surface + spread * torch.randn_like(surface), free], dim=1)
        distance, index = sdf_torch.distances(props, points)
        return points, distance.unsqueeze(-1), props[..., 18:21].gather(1, index.unsqueeze(-1).expand(-1, -1, 3))


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
    model, generated = Reconstructor(CONFIG).to(run.device), GeneratedViews(run)
    cameras = torch.from_numpy(camera_vectors(orbit())).to(run.device)
    others = round(schedule.batch * GENERATED_SHARE)

    def loss(rng):
        true = run.data.any(rng, schedule.batch - others)
        rows, drawn = generated.batch(rng, others)
        columns = run.columns(rng, (0, NEAR + WIDE, 1024), (NEAR + WIDE, POINTS, 384))
        near = [true.field(columns), generated.field(rng, rows, 683, 341, 384)]
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

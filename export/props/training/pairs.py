"""Training pairs of the refiner: VAE latents of the coarse views of an autoencoded prop, and of its true views.

    python -m meshwright.export.props.training.pairs --data DIR --out CHECKPOINTS      (needs shap_e.pt and vae.pt there)

The coarse views are made by the runtime's own extraction and renderer, the one place where export reads from runtime: what the
refiner is trained to mend must be what the runtime will show it.
"""

import numpy as np
import torch
from torch import Tensor

from ....runtime.geometry.cameras import orbit
from ....runtime.geometry.isosurface.extract import extract
from ....runtime.geometry.mesh import Mesh
from ....runtime.geometry.render import render_views
from ..world import cameras as poses
from ..world.dataset import VIEW_SIZE, Dataset
from . import shap_e
from .command import run
from .loop import averaged
from .vae import build as build_vae

RESOLUTION, COUNT = 64, 3000
# The prior will not land exactly where the encoder does, and binds colours to parts late.
LATENT_NOISE, RECOLORED = 0.12, 0.15


def grid(views: np.ndarray) -> np.ndarray:
    """Six views (6, h, w, 3) -> the 3 x 2 picture (3h, 2w, 3)."""
    n, h, w, c = views.shape
    return views.reshape(3, 2, h, w, c).transpose(0, 2, 1, 3, 4).reshape(3 * h, 2 * w, c)


def coarse_mesh(decoder, latent: Tensor) -> Mesh:
    """The mesh of one latent (1, rows, width), with the field's colours at its vertices."""
    weights = decoder.project(latent)

    def query(points):
        sdf, _ = decoder.field(weights, torch.from_numpy(points)[None])
        return {"sdf": sdf[0, :, 0].numpy()}

    mesh = extract(query, None, RESOLUTION, 2.0, negative_inside=False)
    _, color = decoder.field(weights, torch.from_numpy(mesh.vertices)[None])
    return mesh.replace(colors=(color[0].numpy() * 255 + 0.5).astype(np.uint8))


def recolored(colors: np.ndarray, rng) -> np.ndarray:
    """Colours pulled towards one other colour, so that the refiner must also read the text."""
    pull = rng.uniform(0.3, 1.0)
    return (colors + pull * (rng.uniform(0, 255, 3) - colors)).astype(np.uint8)


@torch.no_grad()
def write(data: Dataset, out) -> None:
    """pairs.pt: "coarse" and "target" (n, 4, 48, 32) float16 posterior means, unscaled; "index" (n,) of the props;
    the mean and deviation of the targets.
    """
    finished = out / "pairs.pt"
    if finished.exists() and len(torch.load(finished, weights_only=True, mmap=True)["target"]) >= min(COUNT, len(data)):
        return
    model, vae = averaged(shap_e.Autoencoder(), out / "shap_e.pt"), averaged(build_vae(), out / "vae.pt")
    cameras = orbit(poses.AZIMUTHS, poses.ELEVATIONS, poses.RADIUS, poses.FOV)
    coarse, target = [], []
    for i in range(min(COUNT, len(data))):
        rng = np.random.default_rng((7, i))
        latent = model.encoder(shap_e.surface_batch(data, np.array([i]), np.arange(512) * 2))
        latent = latent + torch.from_numpy(rng.normal(0, LATENT_NOISE * rng.random(), latent.shape).astype(np.float32))
        mesh = coarse_mesh(model.decoder, latent.clamp(-1, 1))
        if rng.random() < RECOLORED and mesh.colors is not None:
            mesh = mesh.replace(colors=recolored(mesh.colors, rng))
        both = np.stack([grid(render_views(mesh, cameras, VIEW_SIZE)), grid(data.views[i] / np.float32(255))])
        images = torch.from_numpy(both.astype(np.float32)).permute(0, 3, 1, 2) * 2 - 1
        means = vae.encode(images).latent_dist.mean.half()
        coarse.append(means[0])
        target.append(means[1])
        if i % 200 == 199:
            print(f"{i + 1}/{COUNT}", flush=True)
            _save(coarse, target, out)
    _save(coarse, target, out)


def _save(coarse, target, out) -> None:
    c, t = torch.stack(coarse), torch.stack(target)
    mean = t.float().mean(dim=(0, 2, 3))
    std = (t.float() - mean.view(1, -1, 1, 1)).std()
    torch.save({"coarse": c, "target": t, "index": torch.arange(len(t)), "mean": mean, "std": std}, out / "pairs.pt")


if __name__ == "__main__":
    run(write, __doc__)

"""Training pairs of the networks that draw views: what they are shown of a prop, and the latents of its true views.

Shown are the latents of the coarse views of the prop as the autoencoder knows it, and pictures of it from anywhere. The views are
those of the prop as it stands in the world, front to +x, from wherever a picture was taken: the reconstructor has seen props in no
other pose (turned by 45 degrees, its IoU falls from 0.91 to 0.68), so the picture networks put them upright.

The coarse views are made by the runtime's own extraction and renderer, the one place where export reads from runtime: what the
refiner is trained to mend must be what the runtime will show it.

Shards of 50 props, made by processes of a core each and written whole: a stopped run goes on, and training may begin on what is there.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....engines.errors import ExportError
from ....engines.machine.parent import end_with_parent
from ....runtime.geometry.cameras import orbit
from ....runtime.geometry.isosurface.extract import extract
from ....runtime.geometry.mesh import Mesh
from ....runtime.geometry.render import render_views
from ..world.dataset import VIEW_SIZE, to_bytes
from ..world.pictures import random_picture
from ..world.world import Prop, make_prop
from . import shap_e
from .loop import averaged
from .vae import build as build_vae

COUNT, SHARD, PICTURES, SURFACE = 10_000, 50, 2, 512
RESOLUTION = 64
# The prior will not land exactly where the encoder does, and binds colours to parts late.
LATENT_NOISE, RECOLORED = 0.12, 0.15


@dataclass(frozen=True)
class Pairs:
    """n props.

    pictures : (n, 2, 128, 128, 3) uint8 on white; azimuths : (n, 2) degrees, where they were taken from
    coarse, views : (n, 4, 48, 32) float16 posterior means, unscaled, of the coarse and of the true views
    surface : (n, 512, 3) float16; seeds : (n,) int64; captions : of each prop one
    """

    pictures: np.ndarray
    azimuths: np.ndarray
    coarse: np.ndarray
    views: np.ndarray
    surface: np.ndarray
    seeds: np.ndarray
    captions: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> "Pairs":
        """All finished shards, in order."""
        shards = [dict(np.load(path)) for path in sorted(Path(folder).glob("shard-*.npz"))]
        if not shards:
            raise ExportError(f"{folder} has no pairs", expected="files shard-*.npz", remedy="run the training's stage 'pairs' first")
        return cls(*(np.concatenate([shard[name] for shard in shards]) for name in cls.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.seeds)

    def scaled(self, name: str, out: Path, device: torch.device) -> Tensor:
        """Latents `name` (n, 4, 48, 32) float32 on `device`, of the mean 0 and the deviation 1 that true views have."""
        mean, std = statistics(out)
        return ((torch.from_numpy(getattr(self, name)).float() - mean) / std).to(device)


def statistics(out: Path) -> tuple[Tensor, Tensor]:
    """Mean (1, 4, 1, 1) and deviation () of the true views' latents."""
    found = torch.load(out / "pairs.pt", weights_only=True)
    return found["mean"].view(1, -1, 1, 1), torch.as_tensor(found["std"])


def keep_statistics(pairs: Pairs, out: Path) -> None:
    """Write pairs.pt, unless it is there: what later networks were trained with must not move."""
    if not (out / "pairs.pt").exists():
        views = torch.from_numpy(pairs.views).float()
        mean = views.mean(dim=(0, 2, 3))
        torch.save({"mean": mean, "std": (views - mean.view(1, -1, 1, 1)).std()}, out / "pairs.pt")


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


def coarse_views(model: shap_e.Autoencoder, prop: Prop, surface: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The 3 x 2 picture (384, 256, 3) float32 of a prop as the autoencoder knows it; surface : points (n, 3) on it"""
    colors = prop.distances(surface)[1] * 2 - 1
    latent = model.encoder(torch.from_numpy(np.concatenate([surface, colors], axis=1).astype(np.float32))[None])
    latent = latent + torch.from_numpy(rng.normal(0, LATENT_NOISE * rng.random(), latent.shape).astype(np.float32))
    mesh = coarse_mesh(model.decoder, latent.clamp(-1, 1))
    if rng.random() < RECOLORED and mesh.colors is not None:
        mesh = mesh.replace(colors=recolored(mesh.colors, rng))
    return grid(render_views(mesh.with_normals(), orbit(), VIEW_SIZE))


def sample(seed: int, model: shap_e.Autoencoder) -> dict:
    """Everything of one prop; coarse and views are still pictures (384, 256, 3) float32."""
    rng, prop = np.random.default_rng((seed, 4)), make_prop(seed)
    azimuths = rng.uniform(0, 360, PICTURES)
    surface = prop.surface(SURFACE, rng)
    return {"pictures": np.stack([random_picture(prop, float(azimuth), rng) for azimuth in azimuths]), "azimuths": azimuths,
            "coarse": coarse_views(model, prop, surface, rng), "views": grid(prop.views(orbit().c2w, VIEW_SIZE)),
            "surface": surface.astype(np.float16), "seeds": seed, "captions": prop.captions(1)[0]}


@torch.inference_mode()
def write_shard(path: Path, seeds: range, model: shap_e.Autoencoder, vae) -> None:
    rows = [sample(seed, model) for seed in seeds]
    shard = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    for name in ("coarse", "views"):
        # Through 8 bits, as files and the runtime's pictures are.
        images = torch.from_numpy(to_bytes(shard[name])).permute(0, 3, 1, 2).float() / 127.5 - 1
        # So few at once that a processor's cache holds what the network makes of them.
        shard[name] = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(2)]).half().numpy()
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **shard)  # type: ignore[arg-type]
    os.replace(part, path)


def _work(folder: Path, checkpoints: Path, shards: list[int], seeds: range) -> None:
    import numba

    if (parent := parent_process()) and parent.pid:
        end_with_parent(parent.pid)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    model, vae = averaged(shap_e.Autoencoder(), checkpoints / "shap_e.pt"), averaged(build_vae(), checkpoints / "vae.pt")
    for number in shards:
        path = folder / f"shard-{number:05}.npz"
        if not path.exists():
            write_shard(path, seeds[number * SHARD:(number + 1) * SHARD], model, vae)


class Writers:
    """Processes that write the shards that are not there yet, until the `with` ends. Needs shap_e.pt and vae.pt in `checkpoints`."""

    def __init__(self, folder: Path, checkpoints: Path, count: int = COUNT, first_seed: int = 0, jobs: int | None = None) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        jobs, numbers = jobs or os.cpu_count() or 1, list(range(-(-count // SHARD)))
        context, seeds = multiprocessing.get_context("spawn"), range(first_seed, first_seed + count)
        self._processes = [context.Process(target=_work, args=(folder, checkpoints, numbers[k::jobs], seeds), daemon=True)
                           for k in range(min(jobs, len(numbers)))]
        for process in self._processes:
            process.start()

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *_: object) -> None:
        """What is not written by now stays unwritten."""
        for process in self._processes:
            process.terminate()
            process.join()

    def wait(self, seconds: float | None = None) -> None:
        """Until all is written, or for so long, and then until there is a first shard. Errors: ExportError if a process failed."""
        end = None if seconds is None else time.monotonic() + seconds
        for process in self._processes:
            process.join(None if end is None else max(0.0, end - time.monotonic()))
        while not any(self._folder.glob("shard-*.npz")) and any(process.is_alive() for process in self._processes):
            time.sleep(0.2)
        codes = [process.exitcode for process in self._processes]
        if any(codes):
            raise ExportError("pairs are missing", received=f"processes that ended with {codes}",
                              remedy="run it again: it goes on where it was stopped")

"""Training pairs of the picture networks: pictures of a prop from anywhere, and the latents of its six views.

The views are those of the prop as it stands in the world, front to +x, from wherever the picture was taken: the reconstructor
has seen props in no other pose (turned by 45 degrees, its IoU falls from 0.91 to 0.68), so the picture networks put them upright.

    python -m meshwright.export.props.training.picture_pairs --out FOLDER --checkpoints CHECKPOINTS      (needs vae.pt there)

Shards of 50 props, each written whole: a stopped run goes on, and training may begin on what is there.
"""

import argparse
import os
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from ....engines.errors import ExportError
from ....engines.machine.parent import end_with_parent
from ..world.cameras import view_poses
from ..world.dataset import VIEW_SIZE, to_bytes
from ..world.pictures import random_picture
from ..world.world import make_prop
from .loop import averaged
from .pairs import grid
from .vae import build as build_vae

COUNT, SHARD, PICTURES = 10_000, 50, 4


@dataclass(frozen=True)
class PicturePairs:
    """n props. pictures : (n, 4, 128, 128, 3) uint8 on white; azimuths : (n, 4) degrees, where they were taken from;
    views : (n, 4, 48, 32) float16 posterior means, unscaled; seeds : (n,)
    """

    pictures: np.ndarray
    azimuths: np.ndarray
    views: np.ndarray
    seeds: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> "PicturePairs":
        """All finished shards, in order."""
        shards = [dict(np.load(path)) for path in sorted(Path(folder).glob("shard-*.npz"))]
        return cls(*(np.concatenate([shard[name] for shard in shards]) for name in cls.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.seeds)


def sample(seed: int) -> dict:
    """Everything of one prop but the latents: pictures, azimuths, views (384, 256, 3) uint8, seed."""
    rng, prop = np.random.default_rng((seed, 4)), make_prop(seed)
    azimuths = rng.uniform(0, 360, PICTURES)
    return {"pictures": np.stack([random_picture(prop, float(azimuth), rng) for azimuth in azimuths]), "azimuths": azimuths,
            "views": to_bytes(grid(prop.views(view_poses(), VIEW_SIZE))), "seeds": seed}


def write_shard(path: Path, seeds: range, vae) -> None:
    rows = [sample(seed) for seed in seeds]
    shard: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    with torch.inference_mode():
        images = torch.from_numpy(shard["views"]).permute(0, 3, 1, 2).float() / 127.5 - 1
        shard["views"] = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(10)]).half().numpy()
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **shard)
    os.replace(part, path)


def _work(out: Path, checkpoints: Path, shards: list[int], first_seed: int) -> None:
    parent = parent_process()
    assert parent is not None and parent.pid is not None  # this is a worker
    end_with_parent(parent.pid)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    vae = averaged(build_vae(), checkpoints / "vae.pt")
    for number in shards:
        path, start = out / f"shard-{number:05}.npz", first_seed + number * SHARD
        if not path.exists():
            write_shard(path, range(start, start + SHARD), vae)
            print(path.name, flush=True)


def write(out: Path, checkpoints: Path, count: int = COUNT, first_seed: int = 0, jobs: int = 2) -> None:
    """Every shard that is not there yet, by `jobs` processes with a core each. ExportError if one of them did not finish."""
    out.mkdir(parents=True, exist_ok=True)
    numbers, context = list(range(-(-count // SHARD))), get_context("spawn")
    workers = [context.Process(target=_work, args=(out, checkpoints, numbers[k::jobs], first_seed)) for k in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise ExportError("pictures are missing", received=f"processes that ended with {[worker.exitcode for worker in workers]}",
                          remedy="run it again: it goes on where it was stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.checkpoints, args.count, args.first_seed)

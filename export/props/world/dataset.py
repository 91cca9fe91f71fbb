"""Renders the training set once to disk, as flat arrays that every trainer maps into memory.

    python -m meshwright.export.props.world.dataset --out DIR [--count 10000] [--first-seed 0]

Files (N props): views.npy (N, 6, 128, 128, 3) uint8; points.npy (N, P, 3) float16 with sdf.npy (N, P) float16 and color.npy
(N, P, 3) uint8; surface.npy (N, S, 3) float16 with surface_color.npy (N, S, 3) uint8; labels.json (family, colours, captions).
Of the P points, the first 1,024 lie within about 0.02 of the surface, the next 512 within 0.08, the rest anywhere in the grid.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cameras import view_poses
from .world import make_prop

VIEW_SIZE, NEAR, WIDE, UNIFORM, SURFACE, CAPTIONS = 128, 1024, 512, 1024, 1024, 6
COUNT, HELD_OUT_SEED = 10_000, 10_000_000
EXTENT = 1.05


@dataclass(frozen=True)
class Dataset:
    """The arrays of one folder, mapped from disk."""

    views: np.ndarray
    points: np.ndarray
    sdf: np.ndarray
    color: np.ndarray
    surface: np.ndarray
    surface_color: np.ndarray
    labels: list

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        arrays = {name: np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in _layout(0)}
        return cls(**arrays, labels=json.loads((Path(folder) / "labels.json").read_text()))

    def __len__(self) -> int:
        return len(self.labels)


def _layout(count: int) -> dict:
    points = NEAR + WIDE + UNIFORM
    return {
        "views": ((count, 6, VIEW_SIZE, VIEW_SIZE, 3), np.uint8), "points": ((count, points, 3), np.float16),
        "sdf": ((count, points), np.float16), "color": ((count, points, 3), np.uint8),
        "surface": ((count, SURFACE, 3), np.float16), "surface_color": ((count, SURFACE, 3), np.uint8),
    }


def to_bytes(image: np.ndarray) -> np.ndarray:
    """[0, 1] float -> uint8, rounded."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def sample(prop, rng: np.random.Generator, poses: np.ndarray) -> dict:
    """Every array's row for one prop."""
    surface = prop.surface(SURFACE, rng)
    near = surface[rng.integers(SURFACE, size=NEAR + WIDE)]
    spread = np.repeat([0.02, 0.08], [NEAR, WIDE])[:, None]
    points = np.concatenate([near + rng.normal(size=near.shape) * spread, rng.uniform(-EXTENT, EXTENT, (UNIFORM, 3))])
    points = points.astype(np.float16)
    distance, color = prop.distances(points)
    return {
        "views": to_bytes(prop.views(poses, VIEW_SIZE)), "points": points, "sdf": distance, "color": to_bytes(color),
        "surface": surface, "surface_color": to_bytes(prop.distances(surface)[1]),
    }


def write(folder: Path, count: int, first_seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
             for name, (shape, dtype) in _layout(count).items()}
    labels, poses = [], view_poses()
    for i in range(count):
        prop = make_prop(first_seed + i)
        for name, row in sample(prop, np.random.default_rng((prop.seed, 2)), poses).items():
            files[name][i] = row
        labels.append({"family": prop.family, "first": prop.first, "second": prop.second, "seed": prop.seed,
                       "captions": prop.captions(CAPTIONS)})
        if i % 500 == 499:
            print(f"{i + 1}/{count}", flush=True)
    (folder / "labels.json").write_text(json.dumps(labels))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.count, args.first_seed)

"""Shapes to train on, with everything about them that their colours do not change; colours and captions are drawn anew each time.

    python -m meshwright.export.props.world.dataset --out DIR [--count 10000] [--first-seed 0]

A view is linear in the colours of a prop's slots (`sdf_torch.slot_weights`), and a point has the colour of its slot: so ten thousand
shapes give as many differently coloured props as a training asks for. On a CPU they are made once and mapped from a folder; a GPU
draws them in its own memory (`Dataset.drawn`).

Files (n shapes), each a tensor of `Dataset` under its name. Of the P points, the first 1,024 lie within about 0.02 of the surface,
the next 512 within 0.08, the rest anywhere in the grid.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....runtime.geometry.cameras import FOV, orbit
from . import sdf, sdf_torch
from .families import FAMILIES
from .sdf_torch import MOST, SLOTS
from .world import Prop, color_names, make_prop, paint

VIEW_SIZE, NEAR, WIDE, UNIFORM, SURFACE = 128, 1024, 512, 1024, 1024
COUNT, HELD_OUT_SEED = 10_000, 10_000_000
EXTENT = 1.05
FAMILY_NAMES = tuple(FAMILIES)
POINTS = NEAR + WIDE + UNIFORM
LAYOUT = {
    "seeds": ((), np.int64), "family": ((), np.int64), "primitives": ((MOST, sdf.COLUMNS), np.float32),
    "views": ((6, SLOTS + 1, VIEW_SIZE, VIEW_SIZE), np.uint8), "points": ((POINTS, 3), np.float16), "sdf": ((POINTS,), np.float16),
    "slot": ((POINTS,), np.uint8), "surface": ((SURFACE, 3), np.float16), "surface_slot": ((SURFACE,), np.uint8),
}


@dataclass(frozen=True)
class Look:
    """What a prop is and is painted in. first, second : palette names"""

    family: str
    first: str
    second: str


def draw_look(rng: np.random.Generator, family: str | None = None) -> Look:
    family = family or FAMILY_NAMES[int(rng.integers(len(FAMILY_NAMES)))]
    return Look(family, *color_names(family, rng))


@dataclass(frozen=True)
class Dataset:
    """n shapes, all on one device.

    seeds, family : (n,) int64, of the props and into FAMILY_NAMES; primitives : (n, MOST, 24) float32
    views : (n, 6, SLOTS + 1, 128, 128) uint8 slot weights; points (n, P, 3), sdf (n, P) float16 and slot (n, P) uint8;
    surface : (n, S, 3) float16 and surface_slot (n, S) uint8
    """

    seeds: Tensor
    family: Tensor
    primitives: Tensor
    views: Tensor
    points: Tensor
    sdf: Tensor
    slot: Tensor
    surface: Tensor
    surface_slot: Tensor

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """Mapped from the files that `write` made."""
        # Copy on write: PyTorch takes no read-only memory.
        return cls(**{name: torch.from_numpy(np.load(Path(folder) / f"{name}.npy", mmap_mode="c")) for name in LAYOUT})

    @classmethod
    def drawn(cls, count: int, first_seed: int, device: torch.device | str, at_once: int = 8) -> "Dataset":
        """The shapes of `count` seeds, rendered and sampled on `device`."""
        parts = [_drawn([make_prop(seed) for seed in range(start, min(start + at_once, first_seed + count))], device)
                 for start in range(first_seed, first_seed + count, at_once)]
        return cls(**{name: torch.cat([part[name] for part in parts]) for name in LAYOUT})

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def device(self) -> torch.device:
        return self.points.device

    def batch(self, rng: np.random.Generator, looks: list[Look]) -> "Batch":
        """A shape of its family for each look, painted; a look of a family without shapes gets any shape."""
        families = self.family.cpu().numpy()
        index = []
        for look in looks:
            same_family = np.flatnonzero(families == FAMILY_NAMES.index(look.family))
            index.append(int(rng.choice(same_family)) if len(same_family) else int(rng.integers(len(self))))
        return self.painted(np.array(index), looks, rng)

    def any(self, rng: np.random.Generator, count: int) -> "Batch":
        """Any shapes in any colours."""
        index = rng.integers(len(self), size=count)
        families = self.family[torch.from_numpy(index).to(self.device)].tolist()
        return self.painted(index, [draw_look(rng, FAMILY_NAMES[k]) for k in families], rng)

    def painted(self, index: np.ndarray, looks: list[Look], rng: np.random.Generator) -> "Batch":
        colors = np.stack([paint(look.first, look.second, rng) for look in looks]).astype(np.float32)
        return Batch(self, torch.from_numpy(index).to(self.device), torch.from_numpy(colors).to(self.device))


@dataclass(frozen=True)
class Batch:
    """b painted shapes. index : (b,) int64; colors : (b, SLOTS, 3) float32 in [0, 1]"""

    data: Dataset
    index: Tensor
    colors: Tensor

    def views(self) -> Tensor:
        """(b, 6, 3, 128, 128) float32 in [0, 1] on white."""
        return sdf_torch.colored(self.data.views[self.index].float() / 255, self.colors).clamp(0, 1)

    def view(self, which: Tensor) -> Tensor:
        """(b, 3, 128, 128): of each shape one of the six; which : (b,) int64"""
        return sdf_torch.colored(self.data.views[self.index, which].unsqueeze(1).float() / 255, self.colors)[:, 0].clamp(0, 1)

    def field(self, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """points (b, n, 3), sdf (b, n, 1) negative inside, colour (b, n, 3) in [0, 1], at some of the P points."""
        rows = self.index.unsqueeze(1)
        return (self.data.points[rows, columns].float(), self.data.sdf[rows, columns].float().unsqueeze(-1),
                self._colors(self.data.slot[rows, columns]))

    def surface(self, columns: Tensor) -> Tensor:
        """Coloured points (b, n, 6) float32 on the surface, colours mapped to [-1, 1]."""
        rows = self.index.unsqueeze(1)
        return torch.cat([self.data.surface[rows, columns].float(), self._colors(self.data.surface_slot[rows, columns]) * 2 - 1], dim=-1)

    def _colors(self, slots: Tensor) -> Tensor:
        return self.colors.gather(1, slots.long().unsqueeze(-1).expand(-1, -1, 3))


def to_bytes(image: np.ndarray) -> np.ndarray:
    """[0, 1] float -> uint8, rounded."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def sample(prop: Prop, rng: np.random.Generator, poses: np.ndarray) -> dict[str, np.ndarray]:
    """Every array's row for one prop."""
    surface = prop.surface(SURFACE, rng).astype(np.float16)
    near = surface[rng.integers(SURFACE, size=NEAR + WIDE)]
    spread = np.repeat([0.02, 0.08], [NEAR, WIDE])[:, None]
    points = np.concatenate([near + rng.normal(size=near.shape) * spread, rng.uniform(-EXTENT, EXTENT, (UNIFORM, 3))]).astype(np.float16)
    distance, slot = _slots(prop, points)
    rows = sdf_torch.stacked([prop.primitives])[0].numpy()
    return {"seeds": np.int64(prop.seed), "family": np.int64(FAMILY_NAMES.index(prop.family)), "primitives": rows,
            "views": to_bytes(slot_views(prop, poses)), "points": points, "sdf": distance.astype(np.float16), "slot": slot,
            "surface": surface, "surface_slot": _slots(prop, surface)[1]}


def slot_views(prop: Prop, poses: np.ndarray, size: int = VIEW_SIZE, fov: float = FOV, light: sdf.Light | None = None) -> np.ndarray:
    """What `sdf_torch.slot_weights` gives (v, SLOTS + 1, size, size), by the compiled renderer: it draws three slots at a time."""
    channels = []
    for first in range(0, SLOTS, 3):
        marked = prop.primitives.copy()
        marked[:, 18:21] = marked[:, 22:23] == np.arange(first, first + 3)
        seen = sdf.render_rgba(marked, poses, size, fov, light)
        channels.append(seen[..., :min(3, SLOTS - first)])
    return np.concatenate([*channels, seen[..., 3:]], axis=-1).transpose(0, 3, 1, 2)


def _slots(prop: Prop, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (n,) float32 and slot (n,) uint8 of points (n, 3)."""
    distance, index = sdf.distances(prop.primitives, np.ascontiguousarray(points, dtype=np.float32))
    return distance, prop.primitives[index, 22].astype(np.uint8)


@torch.no_grad()
def _drawn(props: list[Prop], device: torch.device | str) -> dict[str, Tensor]:
    """`sample` for several props at once, on `device`."""
    rows, count = sdf_torch.stacked([prop.primitives for prop in props], device), len(props)
    surface = sdf_torch.surface(rows, SURFACE).half()
    near = surface[:, torch.randint(SURFACE, (NEAR + WIDE,), device=device)].float()
    spread = torch.tensor([0.02, 0.08], device=device).repeat_interleave(torch.tensor([NEAR, WIDE], device=device)).unsqueeze(-1)
    anywhere = (torch.rand(count, UNIFORM, 3, device=device) * 2 - 1) * EXTENT
    points = torch.cat([near + torch.randn_like(near) * spread, anywhere], dim=1).half()
    distance, index = sdf_torch.distances(rows, points.float())
    on_surface = sdf_torch.distances(rows, surface.float())[1]
    poses = torch.from_numpy(orbit().c2w).float().to(device).unsqueeze(0)
    return {"seeds": torch.tensor([prop.seed for prop in props], device=device), "primitives": rows,
            "family": torch.tensor([FAMILY_NAMES.index(prop.family) for prop in props], device=device),
            "views": (sdf_torch.slot_weights(rows, poses, VIEW_SIZE, FOV).clamp(0, 1) * 255 + 0.5).byte(),
            "points": points, "sdf": distance.half(), "slot": rows[..., 22].gather(1, index).byte(),
            "surface": surface, "surface_slot": rows[..., 22].gather(1, on_surface).byte()}


def write(folder: Path, count: int, first_seed: int) -> None:
    """The files of `count` shapes, each row written as it is made; a stopped run goes on where the seeds end."""
    folder.mkdir(parents=True, exist_ok=True)
    files, poses = {name: _file(folder, name, (count, *shape), dtype) for name, (shape, dtype) in LAYOUT.items()}, orbit().c2w
    for i in np.flatnonzero(np.asarray(files["seeds"]) < 0):
        prop = make_prop(first_seed + int(i))
        row = sample(prop, np.random.default_rng((prop.seed, 2)), poses)
        # The seed comes last: it says that the row is whole.
        for name in (*(field.name for field in fields(Dataset) if field.name != "seeds"), "seeds"):
            files[name][i] = row[name]
        if i % 500 == 499:
            print(f"{i + 1}/{count}", flush=True)


def _file(folder: Path, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    path = folder / f"{name}.npy"
    if path.exists() and np.load(path, mmap_mode="r").shape == shape:
        return np.load(path, mmap_mode="r+")
    made = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if name == "seeds":
        made[:] = -1
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.count, args.first_seed)

"""The recipe `one-2-3-45` in a pack of props: its components and entries of pack.json, from the checkpoints of its two trainings.

    python -m meshwright.export.props.voxel_recipe --checkpoints DIR --pack runtime/packs/props

adds it to a pack that has the other recipes already.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

from ..components.one_2_3_45 import condition_volume, condition_voxels, occupancy_step, sparse_step
from ..pack.progress import Lines
from ..pack.writer import extend_pack
from ..spec import INT8, ComponentSpec
from .training.loop import averaged
from .training.one_2_3_45 import (
    EXTENT,
    RESOLUTION,
    SIGN_BELOW,
    STATES,
    TRUNCATION,
    VIEWS,
    VOLUMES,
    VOXEL_CHANNELS,
    VOXEL_CONDITION,
    OccupancyModel,
    VoxelModel,
)
from .world.dataset import VIEW_SIZE

KINDS = ("condition_volume", "occupancy_step", "condition_voxels", "sparse_step")
CHECKPOINTS = ("occupancy", "voxels")
# Occupied voxels that tables may hold. A prop's shell has between 150 and 1,100.
BUCKETS = (256, 512, 1024, 2048, 4096)
LOOP = {"schedule": {"kind": "log-snr-ancestral"}, "guidance": 1.0, "unconditional": "encoder"}
OCCUPANCY_STEPS, SPARSE_STEPS = 8, 4


def components(checkpoints: Path) -> tuple[ComponentSpec, ...]:
    """With trained weights; none where the recipe was not trained."""
    if not trained(checkpoints):
        return ()
    return specs(averaged(OccupancyModel(), checkpoints / "occupancy.pt"), averaged(VoxelModel(), checkpoints / "voxels.pt"))


def specs(occupancy: OccupancyModel, voxels: VoxelModel) -> tuple[ComponentSpec, ...]:
    """In the order of KINDS."""
    return (condition_volume(occupancy.condition, VIEW_SIZE),
            occupancy_step(occupancy.unet, RESOLUTION, VOLUMES, STATES, sign_below=SIGN_BELOW),
            condition_voxels(voxels.condition, VIEW_SIZE), sparse_step(voxels.unet, VOXEL_CONDITION, 3 * VIEWS, STATES))


def sections(checkpoints: Path) -> dict:
    """The recipe's entries of pack.json, the names of all recipes among them; none where it was not trained."""
    if not trained(checkpoints):
        return {}
    return {"recipes": ["sharp-it", "instantmesh", "one-2-3-45"],
            "occupancy": {**LOOP, "latent_shape": [1, 1, *(RESOLUTION,) * 3], "steps": OCCUPANCY_STEPS},
            "sparse": {**LOOP, "latent_shape": [1, 8 * BUCKETS[0], 4], "steps": SPARSE_STEPS},
            "voxels": {"resolution": RESOLUTION, "extent": EXTENT, "levels": len(VOXEL_CHANNELS), "buckets": list(BUCKETS),
                       "truncation": TRUNCATION}}


def trained(checkpoints: Path) -> bool:
    return all((checkpoints / f"{name}.pt").exists() for name in CHECKPOINTS)


def add(checkpoints: Path, pack: Path) -> None:
    """Add the recipe, in 8 bits, to a pack of props, or replace it there."""
    sources = json.loads((pack / "pack.json").read_bytes())["sources"]
    names = {f"meshwright.export.props.training, {name}": checkpoints / f"{name}.pt" for name in CHECKPOINTS}
    own = [{"name": name, "license": "Apache-2.0", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for name, path in names.items()]
    extend_pack(pack, [dataclasses.replace(spec, precision=INT8) for spec in components(checkpoints)],
                {**sections(checkpoints), "sources": [*(each for each in sources if each["name"] not in names), *own]},
                on_component=Lines(sys.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder with occupancy.pt and voxels.pt")
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack")
    args = parser.parse_args()
    add(args.checkpoints, args.pack)

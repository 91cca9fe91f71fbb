"""The recipe `dmv3d` in a pack of props: its components and entries of pack.json, from the checkpoint of its training.

    python -m meshwright.export.props.planes_recipe --checkpoints DIR --pack runtime/packs/props

adds it to a pack that has the other recipes already.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

from ..components.dmv3d import dmv3d
from ..models.dmv3d import DMV3D
from ..pack.progress import Lines
from ..pack.writer import extend_pack
from ..spec import INT8, ComponentSpec
from .training import language
from .training.dmv3d import CONFIG
from .training.loop import averaged
from .world import circle_views

STEP = "dmv3d_step"
CHECKPOINT, SOURCE = "dmv3d.pt", "meshwright.export.props.training, dmv3d"
SCHEDULE = {"kind": "ddim", "prediction": "sample", "betas": "cosine", "train_steps": 1000, "spacing": "trailing"}
STEPS, GUIDANCE = 20, 2.0


def components(checkpoints: Path) -> tuple[ComponentSpec, ...]:
    """With trained weights; none where the recipe was not trained."""
    if not trained(checkpoints):
        return ()
    return dmv3d(averaged(DMV3D(CONFIG), checkpoints / CHECKPOINT), language.LENGTH)


def sections(checkpoints: Path) -> dict:
    """The recipe's entries of pack.json, the names of recipes among them; none where it was not trained."""
    if not trained(checkpoints):
        return {}
    size = circle_views.SIZE
    return {"recipes": ["sharp-it", "instantmesh", "dmv3d"],
            "posed_views": {"latent_shape": [1, circle_views.CIRCLE, 3, size, size], "steps": STEPS, "guidance": GUIDANCE,
                            "unconditional": "empty", "schedule": SCHEDULE},
            "circle": {"azimuths": list(circle_views.AZIMUTHS), "elevations": [circle_views.ELEVATION] * circle_views.CIRCLE,
                       "fov": circle_views.FOV, "radius": circle_views.RADIUS}}


def trained(checkpoints: Path) -> bool:
    return (checkpoints / CHECKPOINT).exists()


def add(checkpoints: Path, pack: Path) -> None:
    """Add the recipe, its step in 8 bits, to a pack of props, or replace it there."""
    old, new = json.loads((pack / "pack.json").read_bytes()), sections(checkpoints)
    own = {"name": SOURCE, "license": "Apache-2.0", "sha256": hashlib.sha256((checkpoints / CHECKPOINT).read_bytes()).hexdigest()}
    specs = [dataclasses.replace(spec, precision=INT8) if spec.kind == STEP else spec for spec in components(checkpoints)]
    recipes = [*dict.fromkeys([*old.get("recipes", ()), *new["recipes"]])]
    sources = [*(each for each in old["sources"] if each["name"] != SOURCE), own]
    extend_pack(pack, specs, {**new, "recipes": recipes, "sources": sources}, on_component=Lines(sys.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder with dmv3d.pt")
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack")
    args = parser.parse_args()
    add(args.checkpoints, args.pack)

"""Makes the bundled pack from nothing but seeds: data, every model in order, the pack. Resumes where it was stopped.

    python -m meshwright.export.props.train --work DIR --out runtime/packs/props
    python -m meshwright.export.props.train --work DIR --out runtime/packs/props --from-pack runtime/packs/props

Some hours on two cores, and 6 GB in DIR. With --from-pack, what prompts need comes out of a pack, and only the networks that
look at pictures are trained.

The networks of version 3 that look at pictures were trained with --from-pack on 10,200 props, by the clock, on a machine that others
used: encoder and UNet started from those of version 2 (2,200 props; about 1,400 steps of the encoder, 900 of everything), the sketch
from nothing. Encoder and sketch then had 3,125 steps, everything together about 700 at half the rate of `views.SCHEDULE`, in 103
minutes; the head of `picture_prior` had 800 steps on 3,500 of the props. The command asks for as much or more, starts from the
refiner, and gives networks like them, not the same numbers.
"""

import argparse
from pathlib import Path

import torch

from . import pack, restore
from .training import pairs, picture_pairs, picture_prior, prior, reconstructor, refiner, shap_e, surface, vae, views
from .world import dataset

# Each stage reads what the earlier ones left in the folder of checkpoints.
STAGES = ((shap_e.train, "shap_e.pt"), (vae.train, "vae.pt"), (prior.train, "prior.pt"), (pairs.write, "pairs.pt"),
          (refiner.train, "refiner.pt"), (reconstructor.train, "reconstructor.pt"), (surface.train, "surface.pt"))
PICTURE_STAGES = ((views.train, "views.pt"), (picture_prior.train, "picture_prior.pt"))


def learn_from_props(work: Path, checkpoints: Path) -> None:
    """Everything that prompts need."""
    data = work / "data"
    if not (data / "labels.json").exists():
        dataset.write(data, dataset.COUNT, first_seed=0)
    props = dataset.Dataset.open(data)
    for stage, name in STAGES:
        print(f"--- {name}", flush=True)
        stage(props, checkpoints)


def learn_from_pictures(work: Path, checkpoints: Path) -> None:
    """Everything that pictures need besides."""
    picture_pairs.write(work / "pictures", checkpoints)
    for stage, name in PICTURE_STAGES:
        print(f"--- {name}", flush=True)
        stage(work / "pictures", checkpoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the data and the checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--from-pack", type=Path, help="folder of a pack whose networks for prompts are kept")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    checkpoints = args.work / "checkpoints"
    if args.from_pack is None:
        learn_from_props(args.work, checkpoints)
    elif not (checkpoints / "pairs.pt").exists():
        restore.write(args.from_pack, checkpoints, pictures=False)
    learn_from_pictures(args.work, checkpoints)
    pack.build(checkpoints, args.out)


if __name__ == "__main__":
    main()

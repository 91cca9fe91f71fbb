"""Makes the bundled pack from nothing but seeds: data, every model in order, the pack. Resumes where it was stopped.

    python -m meshwright.export.props.train --work DIR --out runtime/packs/props

Some hours on two cores, and 5 GB in DIR.
"""

import argparse
from pathlib import Path

import torch

from . import dataset, pack
from .training import pairs, prior, reconstructor, refiner, shap_e, surface, vae

# Each stage reads what the earlier ones left in the folder of checkpoints.
STAGES = ((shap_e.train, "shap_e.pt"), (vae.train, "vae.pt"), (prior.train, "prior.pt"), (pairs.write, "pairs.pt"),
          (refiner.train, "refiner.pt"), (reconstructor.train, "reconstructor.pt"), (surface.train, "surface.pt"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the data and the checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data, checkpoints = args.work / "data", args.work / "checkpoints"
    if not (data / "labels.json").exists():
        dataset.write(data, dataset.COUNT, first_seed=0)
    props = dataset.Dataset.open(data)
    for stage, name in STAGES:
        print(f"--- {name}", flush=True)
        stage(props, checkpoints)
    pack.build(checkpoints, args.out)


if __name__ == "__main__":
    main()

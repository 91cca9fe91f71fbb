"""Makes the bundled pack, or makes it better: every network in order, within the time that is given, on a CPU or a GPU.

    python -m meshwright.export.props.train --work DIR --out PACK --hours 8
    python -m meshwright.export.props.train --work DIR --out PACK --device cuda --minutes 8 --from-pack runtime/packs/props

The time that is left is divided among the stages that are left, by the shares in STAGES; making shapes and pairs counts. A stopped run
goes on where it was, with the time that is given then. From nothing but seeds, or from the networks of a pack; there the autoencoder's
encoder, which no pack holds, is learnt anew, and autoencoder and VAE stay as they are. On a GPU the shapes are drawn there; on a CPU
they are made once in DIR (6 GB). Pairs, on either, are made by as many processes as there are processor cores.

    python -m meshwright.export.props.train --work DIR --out PACK --from-pack runtime/packs/props --only occupancy voxels --minutes 60

trains those stages alone; occupancy, voxels and dmv3d need no pairs.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from . import pack, restore
from .training import dmv3d, one_2_3_45, pairs, picture_prior, reconstructor, refiner, shap_e, surface, vae, views
from .training.loop import Schedule
from .training.run import Run, explicit_attention
from .world import dataset


@dataclasses.dataclass(frozen=True)
class Stage:
    """name : of its checkpoint; share : of the time, beside the others' (those of seconds a sample times samples to learn from)."""

    name: str
    share: float
    train: Callable[[Run, Schedule], object]
    schedule: Schedule


# Each reads what the earlier ones left in the folder of checkpoints.
BEFORE_PAIRS = (Stage("shap_e", 6, shap_e.train, shap_e.SCHEDULE), Stage("vae", 6, vae.train, vae.SCHEDULE))
# Trained while other processes write pairs: it needs none.
WHILE_PAIRS = (Stage("prior", 20, shap_e.train_prior, shap_e.PRIOR_SCHEDULE),)
AFTER_PAIRS = (Stage("refiner", 20, refiner.train, refiner.SCHEDULE), Stage("views", 20, views.train, views.SCHEDULE),
               Stage("reconstructor", 24, reconstructor.train, reconstructor.SCHEDULE),
               Stage("surface", 4, surface.train, surface.SCHEDULE),
               Stage("picture_prior", 2, picture_prior.train, picture_prior.SCHEDULE),
               Stage("occupancy", 10, one_2_3_45.train_occupancy, one_2_3_45.OCCUPANCY_SCHEDULE),
               Stage("voxels", 20, one_2_3_45.train_voxels, one_2_3_45.VOXELS_SCHEDULE),
               Stage("dmv3d", 24, dmv3d.train, dmv3d.SCHEDULE))
# How much longer pairs are waited for, beside the shares above: the stages are content with those that are there.
PAIRS_SHARE = 6
# Seeds of pairs come after those of shapes, so that nothing is seen twice.
FIRST_PAIR = 1_000_000


@dataclasses.dataclass
class Clock:
    """end : when all is to be done, in seconds of `time.monotonic`, or None for the steps of every schedule."""

    end: float | None
    shares: float

    def seconds(self, share: float) -> float | None:
        """What a stage of this share gets of the time that is left; the share is spent."""
        if self.end is None:
            return None
        given = max(1.0, self.end - time.monotonic()) * share / self.shares
        self.shares -= share
        return given


def train(run: Run, seconds: float | None, *, from_pack: bool = False, pair_count: int = pairs.COUNT) -> None:
    """Every stage that is not finished. seconds : for all together; None trains the steps of every stage's schedule"""
    before, during, after = ([stage for stage in stages if not _mark(run, stage).exists()]
                             for stages in (BEFORE_PAIRS[:1] if from_pack else BEFORE_PAIRS, WHILE_PAIRS, AFTER_PAIRS))
    shares = PAIRS_SHARE + sum(stage.share for stage in (*before, *during, *after))
    clock = Clock(None if seconds is None else time.monotonic() + seconds, shares)
    with explicit_attention(run.device):
        _train(run, before, clock)
        with pairs.Writers(run.pairs, run.out, pair_count, FIRST_PAIR) as writers:
            _train(run, during, clock)
            print("--- pairs", flush=True)
            writers.wait(clock.seconds(PAIRS_SHARE))
        pairs.keep_statistics(pairs.Pairs.open(run.pairs), run.out)
        _train(run, after, clock)


def train_only(run: Run, seconds: float | None, names: Sequence[str]) -> None:
    """The named stages, in order, on what is in the folder of checkpoints. seconds : as of `train`; a finished one is trained on"""
    stages = [stage for stage in (*BEFORE_PAIRS, *WHILE_PAIRS, *AFTER_PAIRS) if stage.name in names]
    clock = Clock(None if seconds is None else time.monotonic() + seconds, sum(stage.share for stage in stages))
    with explicit_attention(run.device):
        _train(run, stages, clock)


def _train(run: Run, stages: list[Stage], clock: Clock) -> None:
    for stage in stages:
        seconds = clock.seconds(stage.share)
        print(f"--- {stage.name}" + ("" if seconds is None else f", {seconds:.0f} s"), flush=True)
        stage.train(run, dataclasses.replace(stage.schedule, seconds=seconds))
        _mark(run, stage).touch()


def _mark(run: Run, stage: Stage) -> Path:
    """The file that says that a stage is finished."""
    return run.out / f"{stage.name}.done"


def shapes(work: Path, device: torch.device, count: int) -> dataset.Dataset:
    """On a GPU drawn there; otherwise mapped from files in `work`, made if need be."""
    if device.type == "cuda":
        return dataset.Dataset.drawn(count, 0, device)
    dataset.write(work / "data", count, first_seed=0)
    return dataset.Dataset.open(work / "data")


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    began = time.monotonic()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    checkpoints, device = args.work / "checkpoints", torch.device(args.device)
    if args.from_pack is not None and not (checkpoints / "pairs.pt").exists():
        restore.write(args.from_pack, checkpoints)
    run = Run(shapes(args.work, device, args.shapes), checkpoints, args.work / "pairs")
    minutes = args.minutes if args.hours is None else 60 * args.hours
    seconds = None if minutes is None else max(1.0, 60 * minutes - (time.monotonic() - began))
    if args.only:
        train_only(run, seconds, args.only)
    else:
        train(run, seconds, from_pack=args.from_pack is not None, pair_count=args.pairs)
    pack.build(checkpoints, args.out)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for shapes, pairs and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--from-pack", type=Path, help="folder of a pack whose networks are trained on")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--hours", type=float, help="how long it may take; by default, the steps of every stage's schedule")
    length.add_argument("--minutes", type=float)
    parser.add_argument("--only", nargs="+", metavar="STAGE", choices=[stage.name for stage in (*BEFORE_PAIRS, *WHILE_PAIRS, *AFTER_PAIRS)],
                        help="train these alone: %(choices)s")
    parser.add_argument("--shapes", type=int, default=dataset.COUNT)
    parser.add_argument("--pairs", type=int, default=pairs.COUNT)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

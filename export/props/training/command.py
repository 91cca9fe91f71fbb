"""What every trainer's command line has in common."""

import argparse
from pathlib import Path

import torch

from ..dataset import Dataset


def run(train, doc: str) -> None:
    """Parse --data, --out and --threads, open the data, train."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder written by meshwright.export.props.dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints; an unfinished one is resumed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(Dataset.open(args.data), args.out)


def run_on_pictures(train, doc: str) -> None:
    """The same for those that learn from pictures: --pairs in place of --data."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True, help="folder written by meshwright.export.props.training.picture_pairs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints; an unfinished one is resumed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(args.pairs, args.out)

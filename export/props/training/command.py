"""What every trainer's command line has in common."""

import argparse
from pathlib import Path

import torch

from ..world.dataset import Dataset


def run(train, doc: str) -> None:
    """Parse --data, --out and --threads, open the data, train."""
    args = _options(doc, "--data", "meshwright.export.props.world.dataset")
    train(Dataset.open(args.data), args.out)


def run_on_pictures(train, doc: str) -> None:
    """The same for those that learn from pictures: --pairs in place of --data."""
    args = _options(doc, "--pairs", "meshwright.export.props.training.picture_pairs")
    train(args.pairs, args.out)


def _options(doc: str, source: str, writer: str) -> argparse.Namespace:
    """What was given on the command line; PyTorch has its threads. writer : the module that writes the folder `source` names"""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(source, type=Path, required=True, help=f"folder written by {writer}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints; an unfinished one is resumed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args

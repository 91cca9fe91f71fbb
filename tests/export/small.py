"""Small modules and their specs for the tests of the exporter."""

import numpy as np
import torch
from torch import nn

from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.pack import parity
from meshwright.export.spec import FP32, ComponentSpec, Input


class Rows(nn.Module):
    """Two layers over rows; `shift` moves the result, for a module that differs from its reference."""

    def __init__(self, width=4, shift=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, 2))
        self.shift = shift

    def forward(self, rows):
        return self.layers(rows) + self.shift


class Noisy(Rows):
    def forward(self, rows):
        return super().forward(rows) + torch.rand_like(rows[..., :2])


class Broken(Rows):
    def forward(self, rows):
        raise RuntimeError("this module cannot be traced\nand has more to say")


def spec(module=None, kind="rows", precision=FP32, **options):
    """A component with one input (1, n, 3), where n stays open."""
    return ComponentSpec(kind, module or Rows(), (Input("rows", (1, "n", 3)),), ("out",), {"n": (5, 1, 9)}, precision,
                         **options)


def exported_error(spec, folder):
    """The relative error of the written graph against its reference; fails where that is beyond the precision's limit."""
    write_onnx(spec, folder / spec.file)
    error, problem = parity.check(spec, folder / spec.file, np.random.default_rng(0))
    assert problem is None, problem
    return error.rel

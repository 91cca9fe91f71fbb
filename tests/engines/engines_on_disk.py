"""What the tests of building share: machines that this one is not, orders for small models, and a teller that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from meshwright.engines.machine.hardware import Gpu, Hardware, Host
from meshwright.engines.machine.products import choose
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import BuildCallbacks
from meshwright.engines.tensorrt.network import Range
from tests.engines import models

HOST = Host("Linux x86_64", "a processor", 2, 1 << 34, 1 << 33)
NO_GPU = Hardware(HOST, (), None, None, "no driver")
ROWS = {"batch": Range(1, 2, 8)}


def machine(*, device="RTX 4090", capability="8.9", driver="580.65", free=20 << 30) -> Hardware:
    """A machine with one GPU."""
    return Hardware(HOST, (Gpu(0, device, capability, 24 << 30, free),), driver, "13.0", None)


def affine(folder: Path, axes=ROWS) -> BuildRequest:
    """An order for a model with an open axis."""
    return BuildRequest(choose("tensorrt-rtx"), models.affine(folder / "affine.onnx"), axes, 1 << 30)


@dataclass
class Told:
    """Everything that a build said."""

    notes: list[str] = field(default_factory=list)
    estimates: list[float | None] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    @property
    def teller(self) -> BuildCallbacks:
        return BuildCallbacks(self.notes.append, self.estimates.append, self.shares.append)

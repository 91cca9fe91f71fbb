"""What a running pipeline tells: progress, notices, and results as soon as they exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .results import Cutout, Generation

if TYPE_CHECKING:
    from .geometry.mesh import Mesh


@dataclass(frozen=True)
class StageStarted:
    """A stage begins. stage : one of `Pipeline.stages`."""

    stage: str


@dataclass(frozen=True)
class Step:
    """Step `index` (from 1) of `total` of a stage that is a loop has been done."""

    stage: str
    index: int
    total: int


@dataclass(frozen=True)
class StageDone:
    """A stage ended.

    seconds : wall time, the loading of its models included; loading : that part of it
    peak_bytes : the most memory that the process had meanwhile; None unless the pipeline was opened with `measure_memory`, and where the
        system does not tell
    device_bytes : the most of the GPU's memory that the engines held meanwhile, None where nothing runs on one
    """

    stage: str
    seconds: float
    loading: float = 0.0
    peak_bytes: int | None = None
    device_bytes: int | None = None


@dataclass(frozen=True)
class Notice:
    """Something the user should know; the run goes on."""

    message: str


@dataclass(frozen=True)
class EngineBuild:
    """TensorRT builds an engine for a component, which may take minutes. share : that is done, in [0, 1]"""

    component: str
    share: float


@dataclass(frozen=True, eq=False)
class CoarseMesh:
    """The coarse object, or the mesh to be redrawn, in world axes (z up, front +x)."""

    mesh: Mesh


@dataclass(frozen=True, eq=False)
class CoarseViews:
    """The coarse object from the recipe's cameras. images : (n, height, width, 3) float32 sRGB in [0, 1]."""

    images: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Views:
    """The drawn views that the mesh is made from, laid out as `CoarseViews`; a second time where its texture has views of its own. DMV3D
    tells those of each step, the last ones of the planes that the mesh is in."""

    images: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Surface:
    """The final surface before decimation and texture, in world axes.

    planes : (1, 3, C, P, P) float, the reconstructed triplanes; None for a mesh of the user's
    """

    mesh: Mesh
    planes: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Result:
    """The last event of a run."""

    generation: Generation


Event = StageStarted | Step | StageDone | Notice | EngineBuild | Cutout | CoarseMesh | CoarseViews | Views | Surface | Result

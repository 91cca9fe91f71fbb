"""What one worker holds open while it measures: the pack, its cameras, and the encoder that only training has."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.world import Prop, make_prop
from meshwright.runtime import Pipeline
from meshwright.runtime.backends.models import Models
from meshwright.runtime.geometry.cameras import Cameras, orbit
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.pack.manifest import Manifest
from meshwright.runtime.recipes.rebuild import Field
from meshwright.runtime.recipes.texture import textured
from meshwright.runtime.request import Request

from .metrics import iou, sample_surface

T = TypeVar("T")
POINTS, HALF_SIDE, COLOR_POINTS = 131_072, 1.05, 4096
SOURCES = ("views", "field", "blend")


@dataclass(frozen=True)
class Setup:
    """What to measure with. checkpoints : folder of the training checkpoints, or None to leave out what needs them."""

    pack: str
    checkpoints: Path | None
    threads: int


class Workbench:
    """Opened once a worker."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.pipeline = Pipeline.open(setup.pack, threads=setup.threads)

    @property
    def models(self) -> Models:
        return self.pipeline.models

    @property
    def manifest(self) -> Manifest:
        return self.pipeline.pack.manifest

    @cached_property
    def cameras(self) -> Cameras:
        views = self.manifest.views
        return orbit(views.azimuths, views.elevations, views.radius, views.fov)

    @cached_property
    def encoder(self):
        """Coloured surface points (1, 512, 6) -> latent (1, rows, width), both float32 arrays."""
        import torch

        from meshwright.export.props.training.loop import averaged
        from meshwright.export.props.training.shap_e import Autoencoder

        torch.set_num_threads(self.setup.threads)
        encoder = averaged(Autoencoder(), self.setup.checkpoints / "shap_e.pt").encoder
        return lambda points: encoder(torch.from_numpy(points)).numpy()

    def true_views(self, prop: Prop) -> np.ndarray:
        """The views (n, size, size, 3) float32 that a perfect refiner would draw."""
        return prop.views(self.cameras.c2w, self.manifest.views.size)

    def texture_errors(self, prop: Prop, surface: Mesh, field: Field, views: np.ndarray) -> dict[str, float]:
        """Mean absolute colour error, [0, 1], of each texture source at points on the finished mesh.

        The truth at a point is the colour of the nearest part of the prop.
        """
        errors = {}
        for source in SOURCES:
            mesh = self.finish(surface, field, views, Request(prop.family, texture=512, texture_from=source))
            samples = sample_surface(mesh, COLOR_POINTS, np.random.default_rng(prop.seed))
            errors[source] = float(np.abs(samples.colors - prop.distances(samples.points)[1]).mean())
        return errors

    def finish(self, surface: Mesh, field: Field, views: np.ndarray, request: Request) -> Mesh:
        """The textured mesh, as the recipe's last stage makes it."""
        return drained(textured(surface, field.color, views, self.cameras, request, self.manifest))


def drained(stage: Generator[object, None, T]) -> T:
    """Run a stage of a recipe to its end; what it returns."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def family_prop(first_seed: int, index: int) -> Prop:
    """Prop `index` of a series whose families take turns."""
    families = list(FAMILIES)
    return make_prop(first_seed + index, families[index % len(families)])


def volume_points(seed: int) -> np.ndarray:
    """Uniform random points (131072, 3) float32 in the cube that the final grid fills."""
    return np.random.default_rng((seed, 4)).uniform(-HALF_SIDE, HALF_SIDE, (POINTS, 3)).astype(np.float32)


def field_iou(field: Field, points: np.ndarray, truth: np.ndarray) -> float:
    """IoU of the field's inside with `truth` (n,) bool at points (n, 3)."""
    parts = np.array_split(points, max(1, len(points) // 32_768))
    return iou(np.concatenate([field.geometry(part)["sdf"] < 0 for part in parts]), truth)

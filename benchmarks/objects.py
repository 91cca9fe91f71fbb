"""Reconstruction alone: true views of a held-out prop through the reconstructor, its field and the mesh stages."""

from __future__ import annotations

from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.recipes.rebuild import extract_surface, reconstruct
from meshwright.runtime.request import Request

from .metrics import inside, iou
from .soundness import flat_angle
from .workbench import Workbench, family_prop, field_iou, volume_points

FIRST_SEED, TEXTURED = 10_100_000, 10


def measure_object(bench: Workbench, index: int) -> dict:
    """IoU of field and finished mesh against the exact prop, and its flat parts; the first 10 also give the texture sources' errors."""
    prop = family_prop(FIRST_SEED, index)
    views, points = bench.true_views(prop), volume_points(prop.seed)
    truth = prop.distances(points)[0] < 0
    field = reconstruct(bench.models, views, bench.cameras)
    record = {"family": prop.family, "seed": prop.seed, "iou": field_iou(field, points, truth), "mesh_iou": 0.0}
    surface = extract_surface(bench.manifest, field)
    mesh = bench.finish(surface, field, views, Request(prop.family, texture=256))
    record |= {"mesh_iou": iou(inside(mesh, points), truth), "watertight": is_watertight(mesh),
               "faces": len(mesh.faces), "flat_angle": flat_angle(mesh, prop)}
    if index < TEXTURED:
        record["texture"] = bench.texture_errors(prop, surface, field, views)
    return record

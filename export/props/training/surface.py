"""FlexiCubes' deformation and weights: tuned so that the extracted vertices lie on the true surface (arXiv 2308.05371).

The reconstructor's planes and distances stay as they are; only `net_deformation` and `net_weight` learn. Which cubes the surface
crosses comes from the runtime's own extraction, so that training and inference see the same cubes.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ....runtime.geometry.cameras import camera_vectors, orbit
from ....runtime.geometry.isosurface.flexicubes import EDGES, WEIGHT_SCALE
from ....runtime.geometry.isosurface.sparse_field import SparseField, evaluate_sparse
from ....runtime.geometry.isosurface.tables import tables
from ...models.field import sample_planes
from ..world.world import make_prop
from .loop import Schedule, averaged, fit
from .reconstructor import CONFIG, Reconstructor
from .run import Run

RESOLUTION, EXTENT = 96, 2.1
SCHEDULE = Schedule(steps=400, batch=1, lr=2e-3, warmup=20, ema=0.98)


def crossed_cubes(model: Reconstructor, planes: Tensor) -> SparseField:
    """The cubes that the surface of the frozen field crosses, found as the runtime finds them."""
    def query(points):
        with torch.no_grad():
            sdf = model.synthesizer.decoder.net_sdf(sample_planes(planes, torch.from_numpy(points)[None]))
        return {"sdf": sdf[0, :, 0].numpy()}

    return evaluate_sparse(query, RESOLUTION, EXTENT)


def dual_vertices(field: SparseField, deformation: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    """The dual vertices (n, 3) as functions of raw deformation (v, 3) and raw weights (k, 21), and their crossings' spread (n,)."""
    sdf, corners = torch.from_numpy(field.values["sdf"]), torch.from_numpy(field.corners).long()
    inside = (sdf[corners] < 0).numpy()
    cases = inside @ (1 << np.arange(8))
    counts = tables().count[cases].astype(np.int64)
    owner_of_edge = (np.cumsum(counts) - counts)[:, None] + tables().component[cases]
    cube, edge = np.nonzero(inside[:, EDGES[:, 0]] != inside[:, EDGES[:, 1]])
    a, b = (corners[cube, EDGES[edge, side]] for side in (0, 1))
    spread = 1 + WEIGHT_SCALE * torch.tanh(raw[:, :20])
    at_a, at_b = (sdf[v] * spread[cube, 12 + EDGES[edge, side]] for v, side in ((a, 0), (b, 1)))
    positions = torch.from_numpy(field.points) + torch.tanh(deformation) / (4 * field.resolution)
    crossing = positions[a] + (at_a / (at_a - at_b)).unsqueeze(-1) * (positions[b] - positions[a])
    owner, beta = torch.from_numpy(owner_of_edge[cube, edge]), spread[cube, edge].unsqueeze(-1)
    total = torch.zeros(int(counts.sum()), 1).index_add(0, owner, beta)
    vertices = torch.zeros(len(total), 3).index_add(0, owner, beta * crossing) / total
    apart = (crossing - vertices[owner]).square().sum(dim=-1)
    return vertices, apart


def distance_to_truth(prop, vertices: Tensor) -> Tensor:
    """Signed distance (n,) to the prop's surface, differentiable through its first-order expansion at the vertices."""
    at = vertices.detach().numpy().astype(np.float32)
    value = prop.distances(at)[0]
    step = np.eye(3, dtype=np.float32) * 1e-3
    slope = np.stack([prop.distances(at + s)[0] - prop.distances(at - s)[0] for s in step], axis=1) / 2e-3
    return torch.from_numpy(value) + (torch.from_numpy(slope) * (vertices - vertices.detach())).sum(dim=-1)


def train(run: Run, schedule: Schedule = SCHEDULE) -> nn.ModuleDict:
    """surface.pt; needs reconstructor.pt. On the CPU, where the runtime's extraction is."""
    model = averaged(Reconstructor(CONFIG), run.out / "reconstructor.pt")
    decoder, cameras = model.synthesizer.decoder, torch.from_numpy(camera_vectors(orbit()))[None]
    heads = nn.ModuleDict({"net_deformation": decoder.net_deformation, "net_weight": decoder.net_weight}).requires_grad_(True)
    if not (run.out / "surface.pt").exists():
        for head in heads.values():
            nn.init.zeros_(head[-1].weight)
            nn.init.zeros_(head[-1].bias)
    cell = EXTENT / RESOLUTION

    def loss(rng):
        batch = run.data.any(rng, 1)
        with torch.no_grad():
            planes = model(batch.views().cpu(), cameras)
        field = crossed_cubes(model, planes)
        if not len(field.cubes):
            # A reconstructor at its beginning sees nothing in some props.
            return {name: 0 * sum(p.sum() for p in heads.parameters()) for name in ("loss", "miss", "cells_off")}
        features = sample_planes(planes, torch.from_numpy(field.points)[None])[0]
        raw = heads["net_weight"](features[torch.from_numpy(field.corners).long()].flatten(1)) * 0.1
        vertices, apart = dual_vertices(field, heads["net_deformation"](features), raw)
        off = distance_to_truth(make_prop(int(run.data.seeds[batch.index])), vertices) / cell
        # Where the field itself is far off, no vertex can be right: those must not drown the rest.
        miss = torch.nn.functional.huber_loss(off, torch.zeros_like(off), delta=0.5)
        return {"loss": miss + 0.02 * apart.mean() / cell**2, "miss": miss.detach(), "cells_off": off.detach().abs().median()}

    return fit(heads, loss, schedule, run.out / "surface.pt")

"""`sdf` for many props at once, in PyTorch: what draws training samples on a GPU. The same arrays, the same numbers.

Props are a tensor (b, MOST, 24), a primitive a row as in `sdf`; rows behind a prop's last primitive have the kind -1.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .sdf import AMBIENT, BOX, CAPSULE, COLUMNS, CONE, DIFFUSE, ELLIPSOID, LIGHT, PRISM, TORUS, TUBE

# Primitives of the largest prop; one number for all keeps the compiled kernels.
MOST = 24
FAR, HIT, MARCH, STEP = 1e9, 1.5e-3, 48, 1e-3
SLOTS = 5


def stacked(props: Sequence[np.ndarray], device: torch.device | str = "cpu") -> Tensor:
    """Props (n_i, 24) as `families.build` makes them -> (b, MOST, 24) float32."""
    rows = np.full((len(props), MOST, COLUMNS), -1, np.float32)
    for row, prop in zip(rows, props, strict=True):
        row[:len(prop)] = prop
    return torch.from_numpy(rows).to(device)


def distances(props: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distance (b, p) float32 and nearest primitive (b, p) int64 of points (b, p, 3)."""
    return _compiled()(props, points) if points.is_cuda else _nearest(props, points)


@functools.cache
def _compiled():
    """`_nearest` as one kernel: without it, every primitive's every term would cross the memory."""
    return torch.compile(_nearest, dynamic=True)


def _nearest(props: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    distance = _each(props.unsqueeze(1), points.unsqueeze(2))
    best, index = distance.min(dim=-1)
    return best, index


def _each(rows: Tensor, points: Tensor) -> Tensor:
    """Distance of points (..., 3) to the primitives rows (..., 24), whose leading axes are broadcast."""
    q, turn = points - rows[..., 10:13], rows[..., 1:10]
    x, y, z = (sum(q[..., i] * turn[..., 3 * i + j] for i in range(3)) for j in range(3))
    a, b, c, rounding, kind = rows[..., 13], rows[..., 14], rows[..., 15], rows[..., 17], rows[..., 0]
    across = _length(x, y)
    found = torch.full_like(x, FAR)
    for name, value in (
            (BOX, _box(x.abs() - a + rounding, y.abs() - b + rounding, z.abs() - c + rounding) - rounding),
            (CONE, _capped_cone(across, z, a - rounding, (b - rounding).clamp(min=1e-4), (c - rounding).clamp(min=1e-4)) - rounding),
            (TORUS, _length(across - a, z) - b),
            (TUBE, _box((across - a).abs() - b + rounding, z.abs() - c + rounding) - rounding),
            (CAPSULE, _length(across, z - torch.minimum(torch.maximum(z, -a), a)) - b),
            (ELLIPSOID, _ellipsoid(x, y, z, a, b, c)),
            (PRISM, _box(_triangle(x, z, a, b), y.abs() - c))):
        found = torch.where(kind == name, value, found)
    return found


def _length(*axes: Tensor) -> Tensor:
    return sum(axis * axis for axis in axes).clamp(min=1e-24).sqrt()


def _box(*beyond: Tensor) -> Tensor:
    """Distance to a box from how far a point lies beyond it along each axis."""
    return _length(*(axis.clamp(min=0) for axis in beyond)) + functools.reduce(torch.maximum, beyond).clamp(max=0)


def _capped_cone(radius: Tensor, z: Tensor, half: Tensor, bottom: Tensor, top: Tensor) -> Tensor:
    cap = torch.where(z < 0, bottom, top)
    ax, ay = radius - torch.minimum(radius, cap), z.abs() - half
    ex, ey = top - bottom, 2 * half
    t = (((top - radius) * ex + (half - z) * ey) / (ex * ex + ey * ey)).clamp(0, 1)
    bx, by = radius - top + ex * t, z - half + ey * t
    apart = torch.minimum(ax * ax + ay * ay, bx * bx + by * by).clamp(min=0).sqrt()
    return torch.where((bx < 0) & (ay < 0), -apart, apart)


def _ellipsoid(x: Tensor, y: Tensor, z: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    k0, k1 = _length(x / a, y / b, z / c), _length(x / (a * a), y / (b * b), z / (c * c))
    inmost = -torch.minimum(a, torch.minimum(b, c))
    return torch.where(k0 > 1e-3, k0 * (k0 - 1) / k1.clamp(min=1e-6), inmost)


def _triangle(x: Tensor, z: Tensor, half: Tensor, height: Tensor) -> Tensor:
    x, z = x.abs(), height * 0.5 - z
    t = ((x * half + z * height) / (half * half + height * height)).clamp(0, 1)
    u = (x / half).clamp(0, 1)
    apart = torch.minimum((x - half * t) ** 2 + (z - height * t) ** 2, (x - half * u) ** 2 + (z - height) ** 2).clamp(min=0).sqrt()
    return torch.where((x * height - z * half < 0) & (z < height), -apart, apart)


def normals(props: Tensor, points: Tensor, index: Tensor) -> Tensor:
    """Unit gradients (b, p, 3) of the distance to primitive index (b, p) at points (b, p, 3)."""
    rows = props.gather(1, index.unsqueeze(-1).expand(-1, -1, COLUMNS))
    steps = torch.eye(3, device=points.device) * STEP
    slope = torch.stack([_each(rows, points + step) - _each(rows, points - step) for step in steps], dim=-1)
    return slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def surface(props: Tensor, count: int, candidates: int = 1 << 15) -> Tensor:
    """Points (b, count, 3) spread over the outer surfaces; a prop of which few candidates come near has points twice."""
    points = torch.rand(len(props), candidates, 3, device=props.device) * 2 - 1
    near = distances(props, points)[0].abs() < 0.08
    points = points.gather(1, torch.multinomial(near.float() + 1e-9, 2 * count, replacement=True).unsqueeze(-1).expand(-1, -1, 3))
    for _ in range(4):
        distance, index = distances(props, points)
        points = points - distance.unsqueeze(-1) * normals(props, points, index)
    reached = distances(props, points)[0].abs() < 2e-3
    return points.gather(1, torch.multinomial(reached.float() + 1e-9, count, replacement=True).unsqueeze(-1).expand(-1, -1, 3))


def rays(c2w: Tensor, size: int, fov: Tensor | float) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (..., size * size, 3) through the pixels of cameras c2w (..., 4, 4); fov in degrees, (...) or one."""
    side = (2 * (torch.arange(size, device=c2w.device) + 0.5) / size - 1).expand(size, size)
    reach = torch.tan(torch.deg2rad(torch.as_tensor(fov, dtype=torch.float32, device=c2w.device)) / 2)
    x, y = (plane.flatten() * reach.unsqueeze(-1) for plane in (side, -side.T))
    local = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    local = local / local.norm(dim=-1, keepdim=True)
    directions = local @ c2w[..., :3, :3].mT
    return c2w[..., None, :3, 3].expand_as(directions), directions


def trace(props: Tensor, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays (b, p, 3) first meet the props: points (b, p, 3), the primitive (b, p) and whether there is one (b, p)."""
    radius = (props[..., 10:13].norm(dim=-1) + props[..., 21]).masked_fill(props[..., 0] < 0, 0).amax(dim=1, keepdim=True)
    along = (origins * directions).sum(dim=-1)
    room = along**2 - (origins**2).sum(dim=-1) + radius**2
    root = room.clamp(min=0).sqrt()
    t, far, hit = -along - root, -along + root, torch.zeros_like(room, dtype=torch.bool)
    index = torch.zeros_like(room, dtype=torch.int64)
    for _ in range(MARCH):
        distance, index = distances(props, origins + t.unsqueeze(-1) * directions)
        hit = (distance < HIT) & (room > 0) & (t <= far)
        t = torch.where(hit | (t > far), t, t + distance)
    return origins + t.unsqueeze(-1) * directions, index, hit


def slot_weights(props: Tensor, c2w: Tensor, size: int, fov: Tensor | float = 30.0, light: Tensor | None = None) -> Tensor:
    """How much of each slot's colour a pixel shows: (b, v, SLOTS + 1, size, size) float32, the last channel the coverage.

    A view is linear in its slots' colours: slot weights times colours, and white times what is not covered. Four samples a pixel.
    c2w (b or 1, v, 4, 4); fov in degrees, (b or 1, v) or one; light : towards it, (b, 3), and ambient and diffuse, (b, 5) in all
    """
    batch, views = len(props), c2w.shape[1]
    if light is None:
        light = torch.tensor([*LIGHT, AMBIENT, DIFFUSE], dtype=torch.float32, device=props.device).expand(batch, -1)
    origins, directions = (part.expand(batch, -1, -1, -1).flatten(1, 2) for part in rays(c2w, 2 * size, fov))
    points, index, hit = trace(props, origins, directions)
    facing = (normals(props, points, index) * light[:, None, :3]).sum(dim=-1).clamp(min=0)
    shade = (light[:, 3:4] + light[:, 4:5] * facing) * hit
    slot = props[..., 22].long().gather(1, index)
    weights = torch.zeros(*shade.shape, SLOTS + 1, device=props.device).scatter(-1, slot.unsqueeze(-1), shade.unsqueeze(-1))
    weights[..., SLOTS] = hit.float()
    image = weights.unflatten(1, (views, 2 * size, 2 * size)).movedim(-1, 2)
    return torch.nn.functional.avg_pool2d(image.flatten(0, 1), 2).unflatten(0, (batch, views))


def colored(weights: Tensor, colors: Tensor) -> Tensor:
    """Slot weights (b, v, SLOTS + 1, h, w) and colours (b, SLOTS, 3) in [0, 1] -> views (b, v, 3, h, w) on white."""
    return torch.einsum("bvshw,bsc->bvchw", weights[:, :, :SLOTS], colors) + (1 - weights[:, :, SLOTS:])

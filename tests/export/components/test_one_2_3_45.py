"""The 3D diffusions of One-2-3-45++: graphs against modules, sparse convolutions against dense ones, the loop against a plain one."""

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from meshwright.engines import open_engine
from meshwright.engines.machine.products import choose
from meshwright.engines.tensorrt.build import ELSEWHERE, BuildRequest, build_to
from meshwright.export.components.one_2_3_45 import condition_volume, condition_voxels, occupancy_step, sparse_step
from meshwright.export.models.occupancy_unet import OccupancyUNet
from meshwright.export.models.projected_features import ConditionVolume, VoxelCondition, voxel_centres
from meshwright.export.models.sparse_unet import MaskedGroupNorm, SparseConv, SparseUNet, VoxelTables
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.runtime.backends.pack_engines import ranges_of
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.noise_levels import log_snr, signal_and_noise
from meshwright.runtime.diffusion.schedules import log_snr_ancestral
from meshwright.runtime.geometry.voxels import all_voxels, centres, subdivided
from meshwright.runtime.pack.manifest import VoxelGrid
from tests.engines.platforms import TENSORRT_RTX
from tests.export.small import exported_error

RESOLUTION, VOLUMES, STATES, VIEWS = 4, (4, 8), 8, 2
BUCKETS = (16, 32)
GRID = VoxelGrid(RESOLUTION, 2.1, 3, BUCKETS, 0.2)
# Operators that a sparse convolution needs, and nothing that looks at values to find a shape.
DATA_DEPENDENT = {"NonZero", "Unique", "Compress", "ScatterND", "ScatterElements", "TopK", "Loop", "If"}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def specs():
    """All four components, tiny."""
    return {spec.kind: spec for spec in (
        condition_volume(ConditionVolume(RESOLUTION, VOLUMES, STATES, width=4), 32, views=VIEWS),
        occupancy_step(OccupancyUNet((4, 8), VOLUMES, STATES, embedding=8), RESOLUTION, VOLUMES, STATES, sign_below=0.7),
        condition_voxels(VoxelCondition(4, STATES, width=4), 32, views=VIEWS),
        sparse_step(SparseUNet((4, 8, 8), 4, 3 * VIEWS, STATES, embedding=8), 4, 3 * VIEWS, STATES))}


def shell():
    """(4, 4, 4) bool, a shape without symmetry."""
    occupied = np.zeros((RESOLUTION,) * 3, bool)
    occupied[1:3, 0:3, 1] = occupied[2, 2, 1:4] = True
    return occupied


def tables_of(voxels):
    made, levels = voxels.tables(), range(len(voxels.levels))
    names = [f"{kind}_{level}" for kind in ("active", "neighbours") for level in levels]
    return VoxelTables.of([torch.from_numpy(made[name]) for name in (
        *names, *(f"{kind}_{level}" for kind in ("children", "parents") for level in levels[:-1]))])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["condition_volume", "occupancy_step", "condition_voxels", "sparse_step"])
def test_graphs_give_what_the_modules_give_and_depend_on_no_data(kind, tmp_path):
    spec = specs()[kind]
    assert exported_error(spec, tmp_path) < 1e-2
    operators = {node.op_type for node in onnx.load(tmp_path / spec.file).graph.node}
    assert not operators & DATA_DEPENDENT


@torch.no_grad()
def test_a_sparse_convolution_is_the_dense_one_at_the_active_voxels():
    voxels = subdivided(shell(), 2, BUCKETS)
    assert voxels is not None
    tables, x = tables_of(voxels), torch.randn(2, voxels.rows[0], 3)
    x = x * tables.active[0]
    sparse, dense = SparseConv(3, 5), torch.nn.Conv3d(3, 5, 3, padding=1)
    dense.weight.copy_(sparse.linear.weight.unflatten(1, (27, 3)).transpose(1, 2).unflatten(2, (3, 3, 3)))
    dense.bias.copy_(sparse.linear.bias)
    grid, at = torch.zeros(2, 3, *(2 * RESOLUTION,) * 3), (slice(None), slice(None), *torch.from_numpy(voxels.levels[0].T))
    grid[at] = x[:, :voxels.count].mT
    torch.testing.assert_close(sparse(x, tables.neighbours[0])[:, :voxels.count], dense(grid)[at].mT, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_masked_norm_is_the_group_norm_of_the_active_rows():
    norm, x = MaskedGroupNorm(8), torch.randn(2, 10, 8)
    active = (torch.arange(10) < 7).float().unsqueeze(1)
    expected = F.group_norm(x[:, :7].mT, 4).mT
    torch.testing.assert_close(norm(x, active)[:, :7], expected, rtol=1e-5, atol=1e-5)
    assert not norm(x, active)[:, 7:].any()


@torch.no_grad()
def test_every_bucket_gives_the_same_voxels():
    net = SparseUNet((4, 8, 8), 4, 6, STATES, embedding=8).eval()
    given = torch.randn(1, 8 * BUCKETS[-1], 14)
    found = []
    for bucket in BUCKETS:
        voxels = subdivided(shell(), 3, (bucket,))
        assert voxels is not None and voxels.rows[0] == 8 * bucket
        seen, condition, colors = given[:, :voxels.rows[0]].split((4, 4, 6), dim=-1)
        found.append(net(seen, torch.tensor([0.5]), torch.ones(1, 1, STATES), condition, colors, tables_of(voxels))[:, :voxels.count])
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_the_occupancy_loop_is_that_of_the_paper(tmp_path):
    """Self-conditioning, guidance on the prediction, signs at late times, ancestral noise: against a loop without a table."""
    spec, steps, weight = specs()["occupancy_step"], 4, 2.0
    net, shape = spec.module.net, (1, 1, *(RESOLUTION,) * 3)
    inputs = spec.sample(np.random.default_rng(1), {"halves": 2})
    condition = {name: value for name, value in inputs.items() if name == "states" or name.startswith("volume")}
    start, noise = normal(0, "start", shape), normal(0, "noise", (steps, *shape))
    x, guess, times = torch.from_numpy(start), torch.zeros(shape), np.linspace(1, 0, steps + 1)
    states, *volumes = (torch.from_numpy(value) for value in condition.values())
    for i, (now, then) in enumerate(zip(times, times[1:], strict=False)):
        seen = torch.cat([x, guess], dim=1).expand(2, -1, -1, -1, -1)
        none, all_of_it = net(seen, torch.full((2,), float(now), dtype=torch.float32), states, *volumes).chunk(2)
        guess = none + weight * (all_of_it - none)
        guess = guess.sign() if now < 0.7 else guess
        (alpha, _), (alpha_then, sigma_then) = (signal_and_noise(log_snr(np.array(t))) for t in (now, then))
        c = -np.expm1(log_snr(np.array(now)) - log_snr(np.array(then)))
        x = alpha_then * (x * (1 - c) / alpha + c * guess)
        if then > 0:
            x = x + float(sigma_then * np.sqrt(c)) * torch.from_numpy(noise[i])
        x = x.float()
    write_onnx(spec, tmp_path / spec.file)
    with open_engine(tmp_path / spec.file, threads=1) as engine:
        ours = engine.scan({"latent": start, "previous": np.zeros_like(start)},
                           {"row": log_snr_ancestral(steps, weight).rows, "noise": noise}, condition)["latent"]
    assert np.abs(ours - x.numpy()).max() < 5e-3


def test_grid_points_of_the_network_are_those_of_the_runtime():
    np.testing.assert_allclose(voxel_centres(RESOLUTION)[0].numpy(), centres(all_voxels(RESOLUTION), RESOLUTION, 2.0), atol=1e-6)


@TENSORRT_RTX
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["condition_volume", "occupancy_step", "condition_voxels", "sparse_step"])
def test_tensorrt_builds_each(kind, tmp_path):
    spec = specs()[kind]
    write_onnx(spec, tmp_path / spec.file)
    with open_engine(tmp_path / spec.file, backend="null") as engine:
        axes = ranges_of(engine.spec, GRID)
    build_to(BuildRequest(choose("tensorrt-rtx"), tmp_path / spec.file, axes, ELSEWHERE), tmp_path / "engine", lambda share: None)
    assert (tmp_path / "engine").stat().st_size > 0

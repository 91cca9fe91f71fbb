"""DMV3D's graphs against PyTorch: parity, and a whole loop against one written out."""

import numpy as np
import pytest
import torch

from meshwright.engines import open_engine
from meshwright.export.components.dmv3d import dmv3d
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.props.training.diffusion import alphas_cumprod
from meshwright.export.spec import FP16, FP16_STORED, FP32
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from tests.export.dmv3d_models import CONFIG, TOKENS, random_model
from tests.export.small import exported_error

VIEWS, SAMPLES, STEPS, GUIDANCE = 3, 8, 4, 2.5
SCHEDULE = {"kind": "ddim", "prediction": "sample", "betas": "cosine", "spacing": "trailing"}
SHAPE = (1, VIEWS, 3, CONFIG.view_size, CONFIG.view_size)


def specs(model, precision=FP32):
    return dmv3d(model, TOKENS, views=VIEWS, samples=SAMPLES, chunks=2, precision=precision)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [FP32, FP16_STORED, FP16])
def test_every_graph_is_its_module(tmp_path, precision):
    step, *queries = (exported_error(spec, tmp_path) for spec in specs(random_model(), precision))
    assert max(queries) < 1e-4  # in FP32 at any precision
    assert step > 1e-5 or precision is FP32


def test_inputs_are_those_that_the_runtime_gives():
    step, rendering, field = specs(random_model())
    assert {tensor.name: tensor.shape for tensor in step.inputs} == {
        "latent": SHAPE, "previous": SHAPE, "row": (9,), "noise": SHAPE, "states": ("halves", TOKENS, 12),
        "rays": (1, VIEWS, 6, 16, 16), "known": SHAPE, "mask": (1, VIEWS, 1, 1, 1)}
    assert step.outputs == ("latent_next", "previous_next", "planes")
    assert [tensor.shape for tensor in rendering.inputs] == [(1, 3, 4, 8, 8), (1, "rays", 6)]
    assert [tensor.shape for tensor in field.inputs] == [(1, 3, 4, 8, 8), (1, "points", 3)]


@torch.no_grad()
def loop(model, start, rays, states, picture):
    """DDIM as the paper has it: views of guided planes, the noise that they leave, the next views; the first one is a picture."""
    bars, x = alphas_cumprod().double(), torch.from_numpy(start).double()
    times = [999, 749, 499, 249]
    for t, after in zip(times, [*times[1:], None], strict=True):
        x[:, 0] = torch.from_numpy(picture)
        seen = x.float().expand(2, *x.shape[1:])
        planes = model(seen, rays, torch.tensor([t, t]), states)
        lines = rays.permute(0, 1, 3, 4, 2).flatten(1, 3).expand(2, -1, -1)
        views = model.field.render(planes, lines, SAMPLES)[0].unflatten(1, (VIEWS, 16, 16)).permute(0, 1, 4, 2, 3) * 2 - 1
        x0 = (views[:1] + GUIDANCE * (views[1:] - views[:1])).double()
        bar, bar_next = bars[t], bars[after] if after else torch.tensor(1.0)
        noise = (x - bar.sqrt() * x0) / (1 - bar).sqrt()
        x = bar_next.sqrt() * x0 + (1 - bar_next).sqrt() * noise
    return x.numpy(), planes[1:].numpy()


@pytest.mark.slow
def test_the_loop_is_the_papers_with_a_clean_first_view(tmp_path):
    model, spec = random_model(), specs(random_model())[0]
    write_onnx(spec, tmp_path / spec.file)
    rng = np.random.default_rng(0)
    start, states, rays = normal(0, "start", SHAPE), normal(0, "states", (2, TOKENS, 12)), spec.inputs[5].sample(rng, {})
    picture = np.tanh(normal(0, "picture", SHAPE[2:]))
    known, mask = np.zeros(SHAPE, np.float32), np.zeros((1, VIEWS, 1, 1, 1), np.float32)
    known[0, 0], mask[0, 0] = picture, 1
    rows = make_table(SCHEDULE, STEPS, GUIDANCE).rows
    constants = {"states": states, "rays": rays, "known": known, "mask": mask}
    with open_engine(tmp_path / spec.file, threads=1) as engine:
        carry = engine.scan({"latent": start, "previous": np.zeros_like(start)},
                            {"row": rows[:-1], "noise": np.zeros((STEPS - 1, *SHAPE), np.float32)}, constants)
        last = engine.run({**carry, "row": rows[-1], "noise": np.zeros_like(start), **constants})
    expected, planes = loop(model, start, torch.from_numpy(rays), torch.from_numpy(states), picture)
    # The latent of the first view has no meaning: every step sees the picture in its place.
    np.testing.assert_allclose(last["latent_next"][:, 1:], expected[:, 1:], atol=2e-3)
    np.testing.assert_allclose(last["planes"], planes, atol=1e-3)

"""The step of Zero123++ as a graph, against a plain loop of diffusers with its own scheduler."""

import numpy as np
import onnx
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler

from meshwright.engines import open_engine
from meshwright.export.components.views_step import signal_rate, views_step
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.spec import FP16, FP16_STORED, FP32
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.noise_levels import NoiseLevels
from meshwright.runtime.diffusion.schedules import make_table
from tests.export.small import exported_error
from tests.export.two_pass import WIDTH, networks, two_passes

# Of diffusers' scheduler, which makes tensors of NumPy arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LATENT, REFERENCE, TOKENS, GUIDANCE, STEPS = (8, 4), (6, 6), 5, 4.0, 3
SIZES = LATENT, REFERENCE, (TOKENS, WIDTH)
SCHEDULE = {"kind": "euler-ancestral", "prediction": "v", "betas": "linear", "spacing": "trailing", "steps_offset": 1}


def scheduler():
    """That of Zero123++, as every official script sets it."""
    made = EulerAncestralDiscreteScheduler(beta_schedule="linear", beta_start=0.00085, beta_end=0.012, steps_offset=1,
                                           prediction_type="v_prediction", timestep_spacing="trailing")
    made.set_timesteps(STEPS)
    return made


def diffusers_loop(predict, start, reference, reference_noise, seed):
    """predict(x, noisy reference, t) -> both halves. Returns the last latents and the noise that the scheduler drew."""
    made, generator = scheduler(), torch.Generator().manual_seed(seed)
    x = torch.from_numpy(start) * made.init_noise_sigma
    for i, t in enumerate(made.timesteps):
        seen = made.scale_model_input(torch.cat([x, x]), t)
        noisy = made.scale_model_input(made.add_noise(reference, torch.from_numpy(reference_noise[i]), t[None]), t)
        uncond, cond = predict(seen, noisy, t).chunk(2)
        x = made.step(uncond + GUIDANCE * (cond - uncond), t, x, generator=generator).prev_sample
    again = torch.Generator().manual_seed(seed)
    return x.numpy(), torch.stack([torch.randn(x.shape, generator=again) for _ in range(STEPS)]).numpy()


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("controlled", [False, True])
def test_views_are_drawn_as_by_diffusers_with_two_passes(tmp_path, controlled):
    unet, controlnet = networks()
    start, states = normal(0, "start", (1, 4, *LATENT)), normal(0, "states", (2, TOKENS, WIDTH))
    reference, noise = normal(0, "reference", (2, 4, *REFERENCE)), normal(0, "noise", (STEPS, 2, 4, *REFERENCE))
    control = np.tanh(normal(0, "control", (1, 3, 8 * LATENT[0], 8 * LATENT[1])))

    def predict(seen, noisy, t):
        text, residuals = torch.from_numpy(states), {}
        if controlled:
            down, mid = controlnet(seen, t, text, torch.from_numpy(control), 0.75, return_dict=False)
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        return two_passes(unet, seen, noisy, t, text, **residuals)

    theirs, drawn = diffusers_loop(predict, start, torch.from_numpy(reference), noise, seed=5)
    spec = views_step(unet, *SIZES, controlnet=controlnet if controlled else None, precision=FP32)
    write_onnx(spec, tmp_path / spec.file)
    table = make_table(SCHEDULE, STEPS, GUIDANCE)
    constants = {"states": states, "reference": reference}
    if controlled:
        constants |= {"control": control, "control_scale": np.float32(0.75).reshape(())}
    start = np.float32(table.initial_scale) * start
    with open_engine(tmp_path / spec.file, threads=1) as engine:
        ours = engine.scan({"latent": start, "previous": np.zeros_like(start)},
                           {"row": table.rows, "noise": drawn, "reference_noise": noise}, constants)["latent"]
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4


@pytest.mark.parametrize("kind", ["euler-ancestral", "ddim", "dpm-solver++-2m"])
@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_the_reference_gets_the_noise_of_the_timestep_from_any_sampler(kind, prediction):
    rows = torch.from_numpy(make_table({"kind": kind, "prediction": prediction, "spacing": "trailing"}, 10, 1.0).rows)
    rate = torch.stack([signal_rate(row[1], row[2]) for row in rows])
    expected = NoiseLevels().alphas_cumprod[rows[:, 0].long().numpy()]
    np.testing.assert_allclose(rate.numpy() ** 2, expected, rtol=1e-4)


def test_the_first_of_75_steps_leaves_four_percent_of_the_reference():
    row = torch.from_numpy(make_table(SCHEDULE, 75, GUIDANCE).rows[0])
    assert row[0] == 999
    np.testing.assert_allclose(signal_rate(row[1], row[2]), 0.001579**0.5, rtol=1e-3)
    np.testing.assert_allclose(row[1], (25.1461**2 + 1) ** -0.5, rtol=1e-4)


@pytest.mark.slow
def test_both_passes_share_one_copy_of_the_weights(tmp_path):
    unet, _ = networks()
    spec = views_step(unet, *SIZES, precision=FP16_STORED)
    assert exported_error(spec, tmp_path) < 1e-2
    stored = sum(int(np.prod(tensor.dims)) for tensor in onnx.load(tmp_path / spec.file).graph.initializer)
    parameters = sum(parameter.numel() for parameter in unet.parameters())
    assert 0.95 * parameters < stored < 1.05 * parameters  # equal biases are stored once; some constants come on top


def test_inputs_are_those_that_the_runtime_gives():
    unet, controlnet = networks()
    shapes = {tensor.name: tensor.shape for tensor in views_step(unet, *SIZES, controlnet=controlnet).inputs}
    assert shapes == {
        "latent": (1, 4, 8, 4), "previous": (1, 4, 8, 4), "row": (9,), "noise": (1, 4, 8, 4), "states": ("halves", 5, 12),
        "reference": ("halves", 4, 6, 6), "reference_noise": ("halves", 4, 6, 6), "control": (1, 3, 64, 32), "control_scale": ()}
    assert list(shapes)[:-2] == [tensor.name for tensor in views_step(unet, *SIZES).inputs]


@pytest.mark.slow
def test_in_half_precision_the_control_too_is_calculated_in_half(tmp_path):
    unet, controlnet = networks()
    spec = views_step(unet, *SIZES, controlnet=controlnet, precision=FP16)
    assert 1e-6 < exported_error(spec, tmp_path)
    assert unet.dtype == controlnet.dtype == torch.float32 and spec.module.net.controlnet.dtype == torch.float16

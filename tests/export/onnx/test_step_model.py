"""Step models as graphs in ONNX Runtime against the plain loops of diffusers, network and scheduler included."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler, PriorTransformer, UNet2DConditionModel

from meshwright.engines import open_engine
from meshwright.engines.errors import ExportError
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.onnx.step_model import OUTPUTS, StepModel
from meshwright.export.spec import ComponentSpec, Input
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import Table, make_table

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH, GUIDANCE, TOLERANCE = 8, 2.5, 1e-4
INPUTS = ("latent", "previous", "row", "noise", "states", "coarse")


def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=(6, 4), in_channels=8, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4, attention_head_dim=2, cross_attention_dim=WIDTH).eval()


def prior(outputs=WIDTH):
    torch.manual_seed(0)
    return PriorTransformer(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=WIDTH, num_embeddings=6,
        additional_embeddings=0, time_embed_act_fn="gelu", norm_in_type="layer", encoder_hid_proj_type=None,
        added_emb_type=None, embedding_proj_dim=WIDTH, embedding_proj_norm_type="layer", clip_embed_dim=outputs).eval()


def export(path, module, shapes):
    inputs = tuple(Input(name, shape) for name, shape in zip(INPUTS, shapes, strict=False))
    write_onnx(ComponentSpec("prior_step", module, inputs, OUTPUTS), path)
    return path


def export_unet(path, net):
    latent = (1, 4, 6, 4)
    return export(path, StepModel(net, "cross-attention"), (latent, latent, (9,), latent, (2, 3, WIDTH), latent))


def export_prior(path, net, tokens, clamp):
    latent = (1, 6, WIDTH)
    return export(path, StepModel(net, "prefix", clamp), (latent, latent, (9,), latent, (2, tokens, WIDTH)))


def scan(path, table: Table, draws, **constants):
    start = np.float32(table.initial_scale) * draws[0]
    with open_engine(path, threads=1) as engine:
        return engine.scan({"latent": start, "previous": np.zeros_like(start)},
                           {"row": table.rows, "noise": draws[1:]}, constants)["latent"]


@torch.no_grad()
def diffusers_loop(scheduler, steps, predict, draws, **options):
    """The pipelines' own loop. predict(x, timestep) -> (2, ...) : both halves, the unconditional one first."""
    scheduler.set_timesteps(steps)
    x = torch.from_numpy(draws[0]) * scheduler.init_noise_sigma
    for i, t in enumerate(scheduler.timesteps):
        if options.get("eta"):
            options["variance_noise"] = torch.from_numpy(draws[1 + i])
        uncond, cond = predict(scheduler.scale_model_input(x, t), t).chunk(2)
        x = scheduler.step(uncond + GUIDANCE * (cond - uncond), t, x, **options).prev_sample
    return x.numpy()


def assert_close(ours, theirs, tolerance=TOLERANCE):
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < tolerance


@pytest.mark.slow
def test_a_refiner_steps_as_in_diffusers(tmp_path):
    net, steps = unet(), 4
    states, coarse = normal(0, "states", (2, 3, WIDTH)), normal(0, "coarse", (1, 4, 6, 4))
    draws = normal(0, "draws", (steps + 1, 1, 4, 6, 4))
    schedule = {"kind": "ddim", "prediction": "v", "betas": "cosine", "spacing": "trailing", "eta": 0.5}
    path = export_unet(tmp_path / "unet.onnx", net)
    ours = scan(path, make_table(schedule, steps, GUIDANCE), draws, states=states, coarse=coarse)

    def predict(x, t):
        seen = torch.cat([x, torch.from_numpy(coarse)], dim=1)
        return net(torch.cat([seen, seen]), t, torch.from_numpy(states)).sample

    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
                              timestep_spacing="trailing", clip_sample=False)
    assert_close(ours, diffusers_loop(scheduler, steps, predict, draws, eta=0.5))


def test_a_shap_e_prior_steps_as_in_diffusers(tmp_path):
    net, steps = prior(outputs=2 * WIDTH), 3
    states, draws = normal(1, "states", (2, 1, WIDTH)), normal(1, "draws", (2 * steps, 1, 6, WIDTH))
    schedule = {"kind": "heun-karras", "form": "diffusers", "betas": "exp", "train_steps": 1024}
    path = export_prior(tmp_path / "prior.onnx", net, 1, ("after", -1.0, 1.0))
    ours = scan(path, make_table(schedule, steps, GUIDANCE), draws, states=states)

    def predict(x, t):
        output = net(torch.cat([x, x]), t, torch.from_numpy(states[:, 0])).predicted_image_embedding
        return output[..., :WIDTH]

    scheduler = HeunDiscreteScheduler(beta_schedule="exp", num_train_timesteps=1024, prediction_type="sample",
                                      use_karras_sigmas=True, clip_sample=True, clip_sample_range=1.0)
    assert_close(ours, diffusers_loop(scheduler, steps, predict, draws))


@torch.no_grad()
def test_halves_are_clamped_before_guidance_as_in_the_original_shap_e(tmp_path):
    net, low, high = prior(), -0.2, 0.3
    states, draws = normal(2, "states", (2, 5, WIDTH)), normal(2, "draws", (2, 1, 6, WIDTH))
    table = make_table({"kind": "heun-karras", "betas": "exp", "train_steps": 1024}, 1, GUIDANCE)
    path = export_prior(tmp_path / "prior.onnx", net, 5, ("before", low, high))
    ours = scan(path, table, draws, states=states)

    seen = torch.from_numpy(np.repeat(draws[0] * 160.0 / np.hypot(1, 160.0), 2, axis=0).astype(np.float32))
    timestep = torch.tensor(float(table.rows[0, 0]))
    halves = net(seen, timestep, torch.from_numpy(states)).predicted_image_embedding
    assert halves.max() > high and halves.min() < low
    uncond, cond = halves.clamp(low, high).split(1)
    assert_close(ours, (uncond + GUIDANCE * (cond - uncond)).numpy())


@torch.no_grad()
def test_a_network_in_half_precision_keeps_the_loop_in_single():
    states, latent = torch.randn(2, 3, WIDTH), torch.randn(1, 6, WIDTH)
    row = torch.tensor([499.5, 0.7, 0.3, 0.8, 0.9, 0.2, 0.1, 0.4, GUIDANCE])
    args = latent, torch.randn_like(latent), row, torch.randn_like(latent), states
    single, half = StepModel(prior(), "prefix")(*args), StepModel(prior().half(), "prefix")(*args)
    for ours, theirs in zip(half, single, strict=True):
        assert_close(ours.numpy(), theirs.numpy(), 1e-2)


@pytest.mark.parametrize("conditioning, clamp", [("adaln", None), ("prefix", ("during", -1, 1)),
                                                 ("prefix", ("after", 1, -1))])
def test_unknown_options_are_refused(conditioning, clamp):
    with pytest.raises(ExportError, match="unknown; received"):
        StepModel(prior(), conditioning, clamp)

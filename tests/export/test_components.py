"""Components against the modules they wrap, and half precision behind single-precision tensors."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from meshwright.export.components.field_decoder import density_decoder, field_decoder
from meshwright.export.components.reconstructor import reconstructor
from meshwright.export.components.refiner import refiner
from meshwright.export.components.shap_e_decoder import shap_e_decoder
from meshwright.export.components.text_encoder import pooled_text_encoder, text_encoder
from meshwright.export.components.vae import ZERO123PLUS, Scaling, vae_decoder, vae_encoder
from meshwright.export.models.field import FieldDecoder
from meshwright.export.models.nerf import DensityDecoder
from meshwright.export.models.reconstructor import Reconstructor, ReconstructorConfig
from meshwright.export.models.shap_e import ShapEDecoder, ShapEDecoderConfig
from meshwright.export.onnx.precision import half_copy
from meshwright.export.spec import FP16, FP16_STORED
from tests.export.small import exported_error

CLIP = dict(vocab_size=30, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=7, projection_dim=8, eos_token_id=29, bos_token_id=28, pad_token_id=0)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def vae():
    return AutoencoderKL(block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, latent_channels=4,
                         mid_block_add_attention=False, down_block_types=("DownEncoderBlock2D",) * 4,
                         up_block_types=("UpDecoderBlock2D",) * 4).eval()


def unet():
    return UNet2DConditionModel(sample_size=(6, 4), in_channels=8, out_channels=4, block_out_channels=(8,), layers_per_block=1,
                                norm_num_groups=4, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
                                attention_head_dim=2, cross_attention_dim=8)


@torch.no_grad()
def test_masked_tokens_neither_speak_nor_are_seen():
    model = BertModel(BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)).eval()
    module = text_encoder(model, 5).module
    ids, mask = torch.tensor([[2, 7, 3, 0, 0], [2, 9, 8, 7, 3]]), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    states = module(ids, mask)
    assert states.shape == (2, 5, 8) and not states[0, 3:].any() and states[1].all()
    torch.testing.assert_close(states[:1, :3], module(ids[:1, :3], mask[:1, :3]))


@pytest.mark.slow
@torch.no_grad()
def test_clip_keeps_its_padding_and_takes_any_batch(tmp_path):
    model = CLIPTextModel(CLIPTextConfig(**CLIP)).eval()
    spec = text_encoder(model, 7, zero_padding=False)
    ids = torch.tensor([[28, 5, 29, 0, 0, 0, 0]])
    torch.testing.assert_close(spec.module(ids, torch.zeros_like(ids)), model(ids).last_hidden_state)
    assert exported_error(spec, tmp_path) < 1e-4


@torch.no_grad()
def test_the_pooled_text_is_one_token_of_length_root_width():
    spec = pooled_text_encoder(CLIPTextModelWithProjection(CLIPTextConfig(**CLIP)).eval(), 7)
    ids = torch.tensor([[28, 5, 29, 0, 0, 0, 0], [28, 6, 7, 29, 0, 0, 0]])
    state = spec.module(ids, torch.ones_like(ids))
    assert spec.kind == "prior_text_encoder" and state.shape == (2, 1, 8)
    torch.testing.assert_close(state.norm(dim=-1), torch.full((2, 1), 8**0.5))


@torch.no_grad()
@pytest.mark.parametrize("scaling", [Scaling(factor=0.18215), ZERO123PLUS, Scaling(shift=(0.1, 0.2, -0.3, 0.0), gain=2.0)])
def test_pictures_and_latents_are_scaled_as_the_option_says(scaling):
    model = vae()
    image = torch.rand(1, 3, 32, 16)
    shift = torch.as_tensor(scaling.shift).reshape(1, -1, 1, 1)
    mean = model.encode((image - 0.5) * scaling.picture).latent_dist.mode()
    latent = vae_encoder(model, 32, 16, scaling).module(image)
    torch.testing.assert_close(latent, (mean * scaling.factor - shift) * scaling.gain)
    back = model.decode(mean).sample / scaling.picture + 0.5
    torch.testing.assert_close(vae_decoder(model, 32, 16, scaling).module(latent), back.clamp(0, 1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_zero123plus_latents_follow_the_published_formulas():
    model, image = vae(), torch.rand(1, 3, 16, 16)
    target = model.encode((image * 2 - 1) * 0.5 / 0.8).latent_dist.mode() * 0.18215
    latent = vae_encoder(model, 16, 16, ZERO123PLUS).module(image)
    torch.testing.assert_close(latent, (target - 0.22) * 0.75)
    shown = (model.decode((latent / 0.75 + 0.22) / 0.18215).sample * 0.8 / 0.5).clamp(-1, 1) / 2 + 0.5
    torch.testing.assert_close(vae_decoder(model, 16, 16, ZERO123PLUS).module(latent), shown)


@torch.no_grad()
@pytest.mark.parametrize("index", range(3))
def test_field_graphs_answer_as_the_decoder_does(index):
    decoder = FieldDecoder(channels=4, hidden=8)
    spec = field_decoder(decoder, (4, 6))[index]
    inputs = [torch.from_numpy(array) for array in spec.sample(np.random.default_rng(0), {"points": 50, "cubes": 20}).values()]
    expected = getattr(decoder, spec.kind.removeprefix("field_"))(*inputs)
    torch.testing.assert_close(spec.module(*inputs), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_density_graphs_answer_as_the_decoder_does(tmp_path):
    specs = density_decoder(DensityDecoder(channels=4, hidden=8), (4, 6))
    assert [(spec.kind, spec.outputs) for spec in specs] == [("field_density", ("density",)), ("field_color", ("color",))]
    for spec in specs:
        assert exported_error(spec, tmp_path) < 1e-4


@torch.no_grad()
def test_shap_e_in_two_graphs_is_the_decoder():
    decoder = ShapEDecoder(ShapEDecoderConfig(latent_width=8, hidden=4, frequencies=2, direction_width=3))
    params, field = shap_e_decoder(decoder)
    latent, points = torch.rand(1, 16, 8) * 2 - 1, torch.rand(1, 30, 3) * 2 - 1
    weights = params.module(latent)
    assert [tuple(w.shape) for w in weights] == [tuple(t.shape) for t in field.inputs[:4]]
    torch.testing.assert_close(field.module(*weights, points), decoder.field(decoder.project(latent), points))


@pytest.mark.slow
def test_a_refiner_in_half_precision_keeps_its_tensors_and_stays_close(tmp_path):
    net = unet()
    error = exported_error(refiner(net, (6, 4), (3, 8), precision=FP16), tmp_path)
    assert 1e-6 < error and next(net.parameters()).dtype == torch.float32


def test_a_vae_in_half_precision_scales_in_single(tmp_path):
    spec = vae_encoder(vae(), 32, 16, ZERO123PLUS, precision=FP16)
    assert 1e-6 < exported_error(spec, tmp_path)
    assert spec.module.vae.module.encoder.conv_in.weight.dtype == torch.float16


def test_published_sizes_of_view_need_no_other_code(tmp_path):
    config = ReconstructorConfig(view_size=24, patch=8, position_grid=2, encoder_width=8, encoder_heads=2, encoder_depth=1,
                                 width=8, heads=2, depth=1, tokens=3, upsample=2, channels=2, hidden=4)
    spec = reconstructor(Reconstructor(config), views=4, precision=FP16_STORED)
    assert exported_error(dataclasses.replace(spec, tolerance=1e-4), tmp_path) < 1e-4


def test_random_cameras_are_camera_vectors():
    cameras = reconstructor(Reconstructor(ReconstructorConfig(
        view_size=16, patch=8, position_grid=2, encoder_width=8, encoder_heads=2, encoder_depth=1, width=8, heads=2, depth=1,
        tokens=2, channels=2, hidden=4))).inputs[1].sample(np.random.default_rng(0), {})
    pose = cameras[0, :, :12].reshape(-1, 3, 4)
    np.testing.assert_allclose(pose[:, :, :3].transpose(0, 2, 1) @ pose[:, :, :3], np.tile(np.eye(3), (6, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(pose[:, :, :3]), 1, atol=1e-5)
    np.testing.assert_allclose(pose[:, :, 3], 4 * pose[:, :, 2], atol=1e-5)
    np.testing.assert_allclose(cameras[0, :, 12:], [[1.8660254, 1.8660254, 0.5, 0.5]] * 6, atol=1e-6)


def test_a_half_copy_is_that_of_pytorch_and_leaves_the_network_alone():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)).eval()
    network[0].weight = network[0].bias = torch.nn.Parameter(torch.randn(4, 4))  # one parameter under two names
    copied = half_copy(network)
    expected = copy.deepcopy(network).half().state_dict()
    for name, tensor in copied.state_dict().items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name])
    assert copied[0].weight is copied[0].bias and network[0].weight.dtype == torch.float32

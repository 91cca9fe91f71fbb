"""The files that stand in for the published checkpoints: their shapes at full size, and that the small ones work."""

import json
import tracemalloc
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from benchmarks.full_size import configs, published
from benchmarks.full_size.models import nerf_shapes, shapes_of
from benchmarks.full_size.sizes import FULL, SMALL
from benchmarks.full_size.tokenizer import vocabulary
from benchmarks.full_size.weights import Weights, write_safetensors
from meshwright.export.models.field import sample_planes
from meshwright.export.models.reconstructor import Reconstructor
from meshwright.export.models.shap_e import ShapEDecoder, ShapEDecoderConfig

CONFIGS = {
    "unet": (configs.unet(FULL), 686, 865_910_724),
    "refiner": (configs.unet(FULL, channels=8), 686, 865_922_244),
    "vae": (configs.vae(FULL), 248, 83_653_863),
    "text encoder": (configs.text_encoder(FULL, FULL.text, projected=False), 372, 340_387_840),
    "vision encoder": (configs.vision_encoder(FULL, FULL.vision, projected=True), 520, 632_076_800),
    "Shap-E text encoder": (configs.text_encoder(FULL, FULL.shap_e_text, projected=True), 197, 123_650_304),
    "Shap-E image encoder": (configs.vision_encoder(FULL, FULL.shap_e_vision, projected=False), 391, 303_179_776),
    "prior": (configs.prior(FULL, image=False), 401, 315_696_128),
    "image prior": (configs.prior(FULL, image=True), 403, 315_960_320),
    "Shap-E decoder": (configs.shap_e_renderer(FULL), 30, 226_297_286),
    "mesh base": (FULL.base, 455, 313_352_516), "mesh large": (FULL.large, 519, 378_657_644)}


@pytest.mark.parametrize("name", CONFIGS)
def test_published_models_have_their_tensors_and_parameters(name):
    config, tensors, parameters = CONFIGS[name]
    shapes = shapes_of(config)
    assert (len(shapes), sum(map(prod, shapes.values()))) == (tensors, parameters)


@pytest.mark.parametrize("config, tensors, parameters", [(FULL.base, 431, 313_249_004), (FULL.large, 495, 378_477_332)])
def test_the_nerf_variant_has_its_tensors_and_parameters(config, tensors, parameters):
    shapes = nerf_shapes(config)
    assert (len(shapes), sum(map(prod, shapes.values()))) == (tensors, parameters)
    assert shapes["synthesizer.decoder.net.6.weight"] == (4, 64)


def test_names_are_those_of_the_published_files():
    text = shapes_of(configs.text_encoder(SMALL, SMALL.text, projected=False))
    assert text["text_model.encoder.layers.1.self_attn.q_proj.weight"] == (16, 16)
    vision = shapes_of(configs.vision_encoder(SMALL, SMALL.vision, projected=True))
    assert "vision_model.pre_layrnorm.weight" in vision and vision["visual_projection.weight"] == (16, 24)
    assert "text_projection.weight" in shapes_of(configs.text_encoder(SMALL, SMALL.shap_e_text, projected=True))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    torch.set_num_threads(1)
    return published.write(tmp_path_factory.mktemp("published"), SMALL, (*published.LAYOUTS, *published.OTHERS))


def document(path):
    return json.loads(path.read_text())


def test_folders_hold_the_published_files(small):
    def files(folder):
        return sorted(str(path.relative_to(small / folder)) for path in (small / folder).rglob("*") if path.is_file())

    tokenizer = ["merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json"]
    assert files("Sharp-It") == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert files("zero123plus-v1.1") == sorted([
        "feature_extractor_clip/preprocessor_config.json", "feature_extractor_vae/preprocessor_config.json", "model_index.json",
        "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/pytorch_model.bin",
        *(f"tokenizer/{name}" for name in tokenizer), "unet/config.json", "unet/diffusion_pytorch_model.bin", "vae/config.json",
        "vae/diffusion_pytorch_model.bin", "vision_encoder/config.json", "vision_encoder/pytorch_model.bin"])
    assert files("shap-e") == sorted([
        "model_index.json", "prior/config.json", "prior/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json",
        "shap_e_renderer/config.json", "shap_e_renderer/diffusion_pytorch_model.safetensors", "text_encoder/config.json",
        "text_encoder/model.safetensors", *(f"tokenizer/{name}" for name in tokenizer)])
    assert not list(small.glob(".*"))


def test_facts_of_the_configurations(small):
    index = document(small / "zero123plus-v1.2" / "model_index.json")
    assert index["_class_name"] == "Zero123PlusPipeline" and len(index["ramping_coefficients"]) == 77
    assert index["ramping_coefficients"][:3] == [0.0030183, 0.2204633, 0.2152784]
    scheduler = document(small / "zero123plus-v1.2" / "scheduler" / "scheduler_config.json")
    assert (scheduler["beta_schedule"], scheduler["beta_start"], scheduler["beta_end"]) == ("linear", 0.00085, 0.012)
    assert (scheduler["prediction_type"], scheduler["timestep_spacing"]) == ("v_prediction", "linspace")
    reference = document(small / "zero123plus-v1.2" / "feature_extractor_vae" / "preprocessor_config.json")
    assert (reference["image_mean"], reference["image_std"], reference["resample"]) == ([0.5] * 3, [0.8] * 3, 2)
    assert document(small / "zero123plus-v1.2" / "vae" / "config.json")["force_upcast"] is True
    with pytest.raises(json.JSONDecodeError):
        document(small / "shap-e" / "scheduler" / "scheduler_config.json")
    assert document(small / "shap-e-img2img" / "scheduler" / "scheduler_config.json")["clip_sample_range"] == 1.0


def test_formats_and_precisions_are_the_published_ones(small):
    with safe_open(small / "Sharp-It" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"} and file.get_tensor("conv_in.weight").dtype == torch.float16
        assert file.get_slice("conv_in.weight").get_shape() == [8, 8, 3, 3]
    white = torch.load(small / "diffusion_pytorch_model.bin", weights_only=True)
    assert white["conv_in.weight"].dtype == torch.float16 and white["conv_in.weight"].shape == (8, 4, 3, 3)
    checkpoint = torch.load(small / "instant_nerf_large.ckpt", weights_only=True)
    assert list(checkpoint) == ["state_dict"] and checkpoint["state_dict"]["lrm_generator.synthesizer.decoder.net.6.bias"].shape == (4,)
    assert checkpoint["state_dict"]["lrm_generator.transformer.pos_embed"].dtype == torch.float32
    old = torch.load(small / "zero123plus-v1.1" / "text_encoder" / "pytorch_model.bin", weights_only=True)
    assert old["text_model.embeddings.position_ids"].tolist() == [list(range(77))]
    vae = torch.load(small / "zero123plus-v1.1" / "vae" / "diffusion_pytorch_model.bin", weights_only=True)
    assert {"encoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.proj_attn.bias"} <= set(vae)


def test_the_libraries_read_every_folder(small):
    import diffusers
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    unet = diffusers.UNet2DConditionModel.from_pretrained(small / "Sharp-It", low_cpu_mem_usage=False, torch_dtype=torch.float32)
    with torch.no_grad():
        out = unet(torch.randn(1, 8, 24, 16), 500, torch.randn(1, 77, 16)).sample
    assert out.shape == (1, 4, 24, 16) and 0.1 < out.std() < 2
    old = diffusers.AutoencoderKL.from_pretrained(small / "zero123plus-v1.1" / "vae", low_cpu_mem_usage=False, torch_dtype=torch.float32)
    with torch.no_grad():
        posterior = old.encode(torch.rand(1, 3, 64, 64)).latent_dist
    assert posterior.mean.shape == (1, 4, 8, 8) and posterior.std.max() < 0.1 < posterior.mean.std()
    prior = diffusers.PriorTransformer.from_pretrained(small / "shap-e-img2img" / "prior", low_cpu_mem_usage=False)
    assert prior.config.embedding_proj_norm_type == "layer"
    control = diffusers.ControlNetModel.from_pretrained(small / "controlnet", low_cpu_mem_usage=False)
    assert control.config.conditioning_channels == 3
    text = CLIPTextModelWithProjection.from_pretrained(small / "shap-e" / "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(str(small / "shap-e" / "tokenizer"))
    ids = tokenizer("a red chair", padding="max_length", return_tensors="pt").input_ids
    assert ids[0, :7].tolist() == [638, 320, *tokenizer.convert_tokens_to_ids(["red</w>", "chair</w>"]), 639, 0, 0]
    with torch.no_grad():
        assert text(ids).text_embeds.shape == (1, 16)


def lattice(half, count=32):
    axis = torch.linspace(-half, half, count)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 3)


def assert_ball(inside):
    """Something is inside, and nothing of it on the border."""
    cube = inside.reshape(32, 32, 32)
    assert 0.02 < cube.float().mean() < 0.4 and cube[1:-1, 1:-1, 1:-1].sum() == cube.sum()


@pytest.mark.parametrize("seed", range(3))
def test_the_coarse_field_is_a_closed_ball_whatever_the_latent(small, seed):
    decoder = ShapEDecoder(ShapEDecoderConfig(latent_width=16, hidden=8))
    with safe_open(small / "shap-e" / "shap_e_renderer" / "diffusion_pytorch_model.safetensors", "pt") as file:
        decoder.load_state_dict({name: file.get_tensor(name) for name in decoder.state_dict()})
    latent = torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)
    with torch.no_grad():
        sdf, color = decoder.field(decoder.project(latent), lattice(1.0))
    assert_ball(sdf > 0)
    assert color.std(dim=1).min() > 0.05


@pytest.mark.parametrize("variant", ["base", "large"])
def test_the_reconstructed_fields_are_closed_balls(small, variant):
    model, generator = Reconstructor(getattr(SMALL, variant)), torch.Generator().manual_seed(0)
    state = torch.load(small / f"instant_mesh_{variant}.ckpt", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("lrm_generator."): tensor for name, tensor in state.items()})
    nerf = torch.load(small / f"instant_nerf_{variant}.ckpt", weights_only=True)["state_dict"]
    with torch.no_grad():
        planes = model(torch.rand(1, 6, 3, 64, 64, generator=generator), torch.randn(1, 6, 16, generator=generator))
        assert_ball(model.synthesizer.geometry(planes, lattice(1.05))[0] < 0)
        model.load_state_dict({name.removeprefix("lrm_generator."): tensor for name, tensor in nerf.items()}, strict=False)
        planes = model(torch.rand(1, 6, 3, 64, 64, generator=generator), torch.randn(1, 6, 16, generator=generator))
        x = sample_planes(planes, lattice(1.0))
        for layer in (0, 2, 4, 6):
            weight, bias = (nerf[f"lrm_generator.synthesizer.decoder.net.{layer}.{part}"] for part in ("weight", "bias"))
            x = torch.nn.functional.linear(x if layer == 0 else x.relu(), weight, bias)
        assert_ball(x[..., 0] > 10)


def test_the_vocabulary_has_its_bytes_merges_and_special_tokens():
    vocab, merges = vocabulary(49_408)
    assert (len(vocab), len(merges)) == (49_408, 48_894) and sorted(vocab.values()) == list(range(49_408))
    assert (vocab["!"], vocab["a"], vocab["a</w>"], vocab["<|startoftext|>"], vocab["<|endoftext|>"]) == (0, 64, 320, 49_406, 49_407)
    known = set(list(vocab)[:512])
    for left, right in merges:
        assert left in known and right in known
        known.add(left + right)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    first, second, other = (published.refiner(tmp_path / str(i), SMALL, seed) / "diffusion_pytorch_model.safetensors"
                            for i, seed in enumerate((0, 0, 1)))
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


def test_writing_holds_one_tensor_at_a_time(tmp_path):
    weights = Weights("x", {f"{i}.weight": (256, 1024) for i in range(32)}, dtype="float16")
    tracemalloc.start()
    file = write_safetensors(tmp_path / "x.safetensors", weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.stat().st_size > 16 << 20 and peak < 8 << 20
    with safe_open(file, "np") as read:
        np.testing.assert_array_equal(read.get_tensor("31.weight"), weights.tensor("31.weight"))


def test_what_is_there_stays_and_a_failure_leaves_no_file(tmp_path, monkeypatch):
    (tmp_path / "Sharp-It").mkdir()
    told = []
    published.write(tmp_path, SMALL, ["Sharp-It", "instant_nerf_base.ckpt"], on_written=lambda name, seconds: told.append(name))
    assert told == ["instant_nerf_base.ckpt"] and not list((tmp_path / "Sharp-It").iterdir())

    def broken(path: Path, sizes, seed):
        path.mkdir()
        raise OSError("disk full")

    monkeypatch.setitem(published.OTHERS, "controlnet", broken)
    with pytest.raises(OSError, match="disk full"):
        published.write(tmp_path, SMALL, ["controlnet"])
    assert not (tmp_path / "controlnet").exists()

"""Networks from folders in the published layouts, beside what the libraries' own loaders make of the same files."""

import json
import shutil

import pytest
import torch

from meshwright.engines.errors import CheckpointError
from meshwright.export.models.field import FieldDecoder
from meshwright.export.models.nerf import DensityDecoder
from meshwright.export.models.shap_e import ShapEDecoderConfig
from meshwright.export.published import folders


def weights(module):
    return {name: tensor.float() for name, tensor in module.state_dict().items()}


def same(found, expected):
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], expected[name]) for name in expected)


DIFFUSERS = [
    ("zero123plus-v1.2", "vae", folders.vae, "AutoencoderKL"),
    ("zero123plus-v1.1", "vae", folders.vae, "AutoencoderKL"),
    ("zero123plus-v1.2", "unet", lambda f: folders.unet(f, in_channels=4), "UNet2DConditionModel"),
    ("zero123plus-v1.1", "unet", lambda f: folders.unet(f, in_channels=4), "UNet2DConditionModel"),
    ("Sharp-It", "", lambda f: folders.unet(f, in_channels=8), "UNet2DConditionModel"),
    ("controlnet", "", folders.controlnet, "ControlNetModel"),
    ("shap-e", "prior", folders.prior, "PriorTransformer"),
    ("shap-e-img2img", "prior", folders.prior, "PriorTransformer"),
]
TRANSFORMERS = [
    ("zero123plus-v1.2", "text_encoder", folders.text_encoder, "CLIPTextModel"),
    ("zero123plus-v1.1", "text_encoder", folders.text_encoder, "CLIPTextModel"),
    ("shap-e", "text_encoder", folders.projected_text_encoder, "CLIPTextModelWithProjection"),
    ("zero123plus-v1.2", "vision_encoder", folders.vision_encoder, "CLIPVisionModelWithProjection"),
    ("zero123plus-v1.1", "vision_encoder", folders.vision_encoder, "CLIPVisionModelWithProjection"),
    ("shap-e-img2img", "image_encoder", folders.image_encoder, "CLIPVisionModel"),
]


@pytest.mark.parametrize("layout, part, network, kind", DIFFUSERS + TRANSFORMERS)
def test_the_weights_are_those_that_the_library_loads(published, layout, part, network, kind):
    import diffusers
    import transformers

    folder = published(layout) / part
    package = diffusers if hasattr(diffusers, kind) else transformers
    found, expected = network(folder), getattr(package, kind).from_pretrained(folder, dtype=torch.float32)
    found.check()
    module = found.load()
    assert type(module).__name__ == kind and same(weights(module), weights(expected))
    assert {p.dtype for p in module.parameters()} == {torch.float32} and not module.training
    assert [path.parent for path in found.files] == [folder] and not found.notices


def test_the_text_encoder_states_are_those_of_the_library(published):
    from transformers import CLIPTextModel

    folder = published("zero123plus-v1.2") / "text_encoder"
    network = folders.text_encoder(folder)
    ids = torch.randint(network.config["vocab_size"], (2, 77), generator=torch.Generator().manual_seed(0))
    expected = CLIPTextModel.from_pretrained(folder, dtype=torch.float32).eval()(ids).last_hidden_state
    torch.testing.assert_close(network.load()(ids).last_hidden_state, expected)


def test_another_file_can_replace_the_weights_of_a_unet(published):
    white = published("diffusion_pytorch_model.bin")
    network = folders.unet(published("zero123plus-v1.2") / "unet", in_channels=4, weights=white)
    stored = torch.load(white, weights_only=True)
    assert network.files == (white,) and same(weights(network.load()), {name: t.float() for name, t in stored.items()})


@pytest.mark.parametrize("layout", ["shap-e", "shap-e-img2img"])
def test_the_shap_e_decoder_takes_its_sizes_from_its_tensors(published, layout):
    network = folders.shap_e_decoder(published(layout))
    network.check()
    stored = network.read()
    hidden = stored["mlp.mlp.0.weight"].shape[0]
    width = stored["params_proj.projections.nerstf__mlp__0__weight.proj.weight"].shape[1]
    assert network.config == ShapEDecoderConfig(latent_width=width, hidden=hidden)
    assert same(weights(network.load()), stored)


def test_the_older_folder_of_the_shap_e_decoder(published, tmp_path):
    shutil.copytree(published("shap-e") / "shap_e_renderer", tmp_path / "renderer")
    network = folders.shap_e_decoder(tmp_path)
    network.check()
    assert network.files[0].parent == tmp_path / "renderer"


@pytest.mark.parametrize("name, variant, decoder", [
    ("instant_mesh_base.ckpt", "mesh", FieldDecoder), ("instant_mesh_large.ckpt", "mesh", FieldDecoder),
    ("instant_nerf_base.ckpt", "nerf", DensityDecoder), ("instant_nerf_large.ckpt", "nerf", DensityDecoder)])
def test_instant_mesh_says_which_variant_it_is(published, name, variant, decoder):
    network = folders.instant_mesh(published(name), variant, view_size=64)
    assert network.variant == folders.instant_mesh(published(name)).variant == variant and network.config.view_size == 64
    network.check()
    module = network.load()
    stored = torch.load(published(name), weights_only=True)["state_dict"]
    assert isinstance(module.synthesizer, decoder) and same(
        {f"lrm_generator.{key}": tensor for key, tensor in weights(module).items()},
        {key: tensor for key, tensor in stored.items() if key.startswith("lrm_generator.")})


def test_what_training_saved_beside_instant_mesh_is_left_out(published, tmp_path):
    stored = torch.load(published("instant_mesh_base.ckpt"), weights_only=True)["state_dict"]
    torch.save({"state_dict": stored | {"lpips.net.weight": torch.ones(3)}}, tmp_path / "a.ckpt")
    folders.instant_mesh(tmp_path / "a.ckpt").check()


def test_the_other_variant_of_instant_mesh_is_refused(published):
    with pytest.raises(CheckpointError, match=r"other variant of InstantMesh; received a mesh checkpoint, .* expected a NeRF checkpoint"):
        folders.instant_mesh(published("instant_mesh_base.ckpt"), "nerf")
    with pytest.raises(CheckpointError, match=r"received a NeRF checkpoint, .* expected a mesh checkpoint"):
        folders.instant_mesh(published("instant_nerf_base.ckpt"), "mesh")


def test_something_else_in_place_of_instant_mesh(published):
    white = published("diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match=f"the reconstructor in {white}: .*instant_mesh_.*ckpt"):
        folders.instant_mesh(white)


def test_a_four_channel_unet_is_no_refiner_and_the_reverse(published):
    with pytest.raises(CheckpointError, match="received 4 input channels; expected 8 input channels; give the folder of the Sharp-It UNet"):
        folders.unet(published("zero123plus-v1.2") / "unet", in_channels=8)
    with pytest.raises(CheckpointError, match="received 8 input channels; expected 4 input channels; give the folder of Zero123"):
        folders.unet(published("Sharp-It"), in_channels=4)


def test_weights_that_belong_to_another_unet(published):
    refiner = published("Sharp-It") / "diffusion_pytorch_model.safetensors"
    network = folders.unet(published("zero123plus-v1.2") / "unet", in_channels=4, weights=refiner)
    for use in (network.check, network.load):
        with pytest.raises(CheckpointError, match=r"received 1 of another shape: conv_in.weight \(\d+, 8, 3, 3\) and not \(\d+, 4, 3, 3\)"):
            use()


def test_a_folder_of_another_class(published):
    with pytest.raises(CheckpointError, match="the autoencoder in .*unet is of another class; received UNet2DConditionModel"):
        folders.vae(published("zero123plus-v1.2") / "unet")
    with pytest.raises(CheckpointError, match="received CLIPTextModelWithProjection; expected CLIPTextModel"):
        folders.text_encoder(published("shap-e") / "text_encoder")


@pytest.mark.parametrize("named, found", [(3, "3"), ("AutoencoderTiny", "AutoencoderTiny"), (["AutoencoderTiny"], "AutoencoderTiny")])
def test_a_class_that_is_written_in_another_way(tmp_path, named, found):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": named}))
    with pytest.raises(CheckpointError, match=f"of another class; received {found}; expected AutoencoderKL"):
        folders.vae(tmp_path)


def test_folders_that_are_not_there(published, tmp_path):
    with pytest.raises(CheckpointError, match="none does not exist; expected a folder as it was published"):
        folders.vae(tmp_path / "none")
    file = published("instant_mesh_base.ckpt")
    with pytest.raises(CheckpointError, match=f"instant_mesh_base.ckpt is a file; .* give the folder that holds it, {file.parent}"):
        folders.vae(file)
    with pytest.raises(CheckpointError, match="config.json does not exist"):
        folders.vae(tmp_path)
    with pytest.raises(CheckpointError, match="shap_e_renderer does not exist"):
        folders.shap_e_decoder(tmp_path)
    with pytest.raises(CheckpointError, match="is a folder; expected a file of weights"):
        folders.instant_mesh(tmp_path)


@pytest.fixture
def vae(published, tmp_path):
    return shutil.copytree(published("zero123plus-v1.2") / "vae", tmp_path / "vae")


def test_a_folder_without_weights(vae):
    (vae / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="vae has no weights; received config.json; expected diffusion_pytorch_model.safetensors"):
        folders.vae(vae)


def test_half_precision_variants_are_found_last(vae):
    whole = vae / "diffusion_pytorch_model.safetensors"
    half = vae / "diffusion_pytorch_model.fp16.safetensors"
    shutil.copy(whole, half)
    assert folders.weights_file(vae) == whole
    whole.unlink()
    assert folders.vae(vae).files == (half,)


def test_missing_and_extra_tensors_are_listed(vae):
    from safetensors.torch import load_file, save_file

    path = vae / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_out.weight"] = tensors.pop("encoder.conv_out.weight")
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as caught:
        folders.vae(vae).check()
    assert caught.value.subject == f"the autoencoder in {vae} does not have the tensors of AutoencoderKL"
    assert caught.value.received == "1 missing: encoder.conv_out.weight; 1 extra: conv_out.weight"


def test_a_trailing_comma_in_a_configuration_is_noticed(vae):
    path = vae / "config.json"
    path.write_text(path.read_text().rstrip().removesuffix("}") + ",}")
    network = folders.vae(vae)
    network.check()
    assert network.notices == (f"{path}: a comma before a closing bracket, which JSON does not allow; read as if not there",)


def test_what_a_configuration_leaves_out_is_the_default_of_its_class(published, vae, tmp_path):
    text = shutil.copytree(published("shap-e") / "text_encoder", tmp_path / "text")
    for path, keys in ((vae / "config.json", ("scaling_factor", "force_upcast")), (text / "config.json", ("max_position_embeddings",))):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in document.items() if key not in keys}))
    found = folders.vae(vae).config
    assert (found["scaling_factor"], found["force_upcast"], found["sample_size"]) == (0.18215, True, 256)
    assert folders.projected_text_encoder(text).config["max_position_embeddings"] == 77


def test_a_configuration_that_its_class_refuses(vae):
    path = vae / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"down_block_types": ["NoSuchBlock"] * 4}))
    with pytest.raises(CheckpointError, match="has a configuration from which no module can be built; received .*NoSuchBlock"):
        folders.vae(vae).check()


def test_a_shap_e_decoder_that_reads_directions_elsewhere(published, tmp_path):
    folder = shutil.copytree(published("shap-e") / "shap_e_renderer", tmp_path / "shap_e_renderer")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"insert_direction_at": 2}))
    with pytest.raises(CheckpointError, match="reads directions at another layer; received 2; expected 4"):
        folders.shap_e_decoder(tmp_path)

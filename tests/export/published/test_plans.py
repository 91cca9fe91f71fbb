"""What the exports of the published models say and hold, before any weight is read: the facts, as literals."""

import dataclasses
import json
import shutil

import pytest

from benchmarks.full_size.published import LAYOUTS, OTHERS
from meshwright.engines.errors import CheckpointError
from meshwright.export.published.choices import InstantMeshChoices, SharpItChoices
from meshwright.export.published.instantmesh import InstantMeshPaths, instantmesh
from meshwright.export.published.sharp_it import SharpItPaths, coarse_radius, sharp_it
from meshwright.export.spec import FP16, FP16_STORED, FP32, INT8


@pytest.fixture(scope="module")
def small(published):
    """The folder with every layout."""
    return [published(name) for name in (*LAYOUTS, *OTHERS)][0].parent


def sharp_it_plan(small, precision=FP16_STORED, shap_e="shap-e", reconstructor="instant_mesh_large.ckpt", variant="mesh", **choices):
    paths = SharpItPaths(small / "Sharp-It", small / "zero123plus-v1.2", small / shap_e, small / reconstructor, variant)
    return sharp_it(paths, SharpItChoices(view_size=64, **choices), precision)


def instantmesh_plan(small, precision=FP16_STORED, version="1.2", reconstructor="instant_mesh_large.ckpt", variant="mesh", unet=True,
                     controlnet=False, **choices):
    paths = InstantMeshPaths(small / f"zero123plus-v{version}", small / reconstructor, variant,
                             small / "diffusion_pytorch_model.bin" if unet else None, small / "controlnet" if controlnet else None)
    return instantmesh(paths, InstantMeshChoices(view_size=64, **choices), precision)


def kinds(plan):
    """Kind of every component, made one by one as the export makes them, and how it calculates."""
    return {spec.kind: spec.precision.compute for spec in plan.components()}


def inputs(plan, kind):
    return next({tensor.name: tensor.shape for tensor in spec.inputs} for spec in plan.components() if spec.kind == kind)


# Coarse views

def test_shap_e_axes_become_the_worlds(small):
    coarse = sharp_it_plan(small).entries["coarse"]
    assert coarse["rotation"] == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert coarse_radius(2.0) == pytest.approx(3.7320508, abs=1e-6)
    assert coarse["scale"] == pytest.approx(4 / 3.7320508, abs=1e-6)


def test_the_coarse_mesh_is_read_at_128_points_and_shrunk(small):
    coarse = sharp_it_plan(small).entries["coarse"]
    assert (coarse["resolution"], coarse["bound"], coarse["shrink"]) == (127, 1.0, 127 / 129)
    assert sharp_it_plan(small, shrink=False).entries["coarse"]["shrink"] == 1.0
    fewer = sharp_it_plan(small, coarse_points=32).entries["coarse"]
    assert (fewer["resolution"], fewer["shrink"]) == (31, 31 / 33)


def test_cameras_and_light_of_the_coarse_views(small):
    views = sharp_it_plan(small).entries["views"]
    assert views["azimuths"] == [30, 90, 150, 210, 270, 330] and views["elevations"] == [20, -10, 20, -10, 20, -10]
    assert (views["size"], views["rows"], views["columns"], views["fov"], views["radius"], views["background"]) == (64, 3, 2, 30, 4, 1)
    light = views["shading"]
    assert light.pop("direction") == pytest.approx([0.6395, 0.0939, -0.7630])
    assert light == {"ambient": 0.3, "diffuse": 0.7, "two_sided": True, "linear": True}
    assert "shading" not in sharp_it_plan(small, shading="plain").entries["views"]


# Loops

def test_loops_of_sharp_it(small):
    entries = sharp_it_plan(small).entries
    assert entries["prior"] == {
        "latent_shape": [1, 32, 16], "steps": 64, "guidance": 15.0, "unconditional": "zeros",
        "schedule": {"kind": "heun-karras", "betas": "exp", "train_steps": 1024, "prediction": "sample", "form": "original",
                     "sigma_max": 160.0, "sigma_min": 0.001}}
    assert entries["refiner"] == {
        "latent_shape": [1, 4, 24, 16], "steps": 75, "guidance": 7.5, "unconditional": "empty", "unconditional_coarse": "same",
        "schedule": {"kind": "euler-ancestral", "betas": "linear", "beta_start": 0.00085, "beta_end": 0.012, "train_steps": 1000,
                     "prediction": "v", "spacing": "trailing"}}


def test_the_samplers_form_brings_its_clamp(small):
    clamps = {}
    for form in ("original", "diffusers"):
        plan = sharp_it_plan(small, sampler=form)
        assert plan.entries["prior"]["schedule"]["form"] == form
        clamps[form] = next(spec.module.clamp for spec in plan.components() if spec.kind == "prior_step")
    assert clamps == {"original": ("before", -1.0, 1.0), "diffusers": ("after", -1.0, 1.0)}


def test_the_loop_of_instantmesh(small):
    entries = instantmesh_plan(small).entries
    assert entries["multiview"] == {
        "latent_shape": [1, 4, 24, 16], "steps": 75, "guidance": 4.0, "unconditional": "encoder",
        "schedule": {"kind": "euler-ancestral", "betas": "linear", "beta_start": 0.00085, "beta_end": 0.012, "train_steps": 1000,
                     "prediction": "v", "spacing": "trailing"}}
    assert instantmesh_plan(small, spacing="file").entries["multiview"]["schedule"]["spacing"] == "linspace"


@pytest.mark.parametrize("change, received", [
    ({"prediction_type": "sample"}, "prediction_type sample"),
    ({"_class_name": "DDIMScheduler", "clip_sample": True}, "clip_sample")])
def test_a_sampler_that_the_step_of_zero123plus_does_not_calculate(small, tmp_path, change, received):
    root = shutil.copytree(small / "zero123plus-v1.2", tmp_path / "zero123plus-v1.2")
    path = root / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=f"requires what the step of Zero123.. does not support; received {received}; expected v_"):
        instantmesh(InstantMeshPaths(root, small / "instant_mesh_large.ckpt", "mesh"), InstantMeshChoices(view_size=64), FP32)


# Pictures

def test_pictures_are_prepared_as_the_folders_say(small):
    assert instantmesh_plan(small).entries["picture"] == {
        "background": 1.0, "encoder": {"size": 56, "resample": "bicubic"}, "reference": {"size": 64, "resample": "bilinear"}}
    assert "picture" not in sharp_it_plan(small).entries
    assert sharp_it_plan(small, shap_e="shap-e-img2img").entries["picture"] == {
        "background": 1.0, "encoder": {"size": 56, "resample": "bicubic"}}


@pytest.mark.parametrize(("unet", "asked", "background", "told"), [
    (True, None, "white", []), (True, "white", "white", []), (True, "grey", "grey", ["is given grey"]),
    (False, None, "grey", ["without --unet"]), (False, "grey", "grey", ["without --unet"]),
    (False, "white", "white", ["is given white", "without --unet"])])
def test_the_background_is_the_one_that_the_unet_was_trained_on(small, unet, asked, background, told):
    plan = instantmesh_plan(small, unet=unet, background=asked)
    grey = {"white": 1.0, "grey": 127 / 255}[background]
    assert plan.entries["picture"]["background"] == plan.entries["views"]["background"] == grey
    assert plan.choices["background"] == background
    said = [notice for notice in plan.notices if "trained on" in notice]
    assert len(said) == len(told) and all(part in notice for part, notice in zip(told, said, strict=True))


def test_no_published_network_draws_our_light(small):
    assert instantmesh_plan(small).entries["views"]["lit"] is sharp_it_plan(small).entries["views"]["lit"] is False


def test_views_stand_where_the_version_draws_them(small):
    assert instantmesh_plan(small, version="1.1").entries["views"]["elevations"] == [30, -20, 30, -20, 30, -20]
    plan = instantmesh_plan(small, version="1.2")
    assert plan.entries["views"]["elevations"] == [20, -10, 20, -10, 20, -10] and plan.choices["elevations"] == (20, -10)
    assert instantmesh_plan(small, elevations=(0.0,)).entries["views"]["elevations"] == [0] * 6


# Components

def test_components_of_sharp_it(small):
    plan = sharp_it_plan(small)
    found = list(kinds(plan))
    assert found == ["text_encoder", "prior_text_encoder", "prior_step", "shap_e_params", "shap_e_field", "vae_encoder", "refiner_step",
                     "vae_decoder", "reconstructor", "field_geometry", "field_weights", "field_color"]
    assert len(found) == plan.count
    assert set(plan.tokenizers) == {"tokenizer.json", "prior_tokenizer.json"}
    assert plan.entries["text"] == {"length": 77, "tokenizer": "tokenizer.json"}
    assert plan.entries["prior_text"] == {"length": 77, "tokenizer": "prior_tokenizer.json"}


def test_the_coarse_shape_may_start_from_a_picture(small):
    plan = sharp_it_plan(small, shap_e="shap-e-img2img")
    assert list(kinds(plan))[1] == "prior_image_encoder" and "prior_text" not in plan.entries
    assert set(plan.tokenizers) == {"tokenizer.json"} and plan.entries["prior"]["guidance"] == 3.0
    assert inputs(plan, "prior_step")["states"] == ("halves", 16, 24)


def test_components_of_instantmesh(small):
    plan = instantmesh_plan(small, reconstructor="instant_nerf_base.ckpt", variant="nerf")
    found = list(kinds(plan))
    assert found == ["image_encoder", "reference_encoder", "views_step", "vae_encoder", "vae_decoder", "reconstructor", "field_density",
                     "field_color"]
    assert len(found) == plan.count and plan.tokenizers == {}


def test_grids(small):
    assert sharp_it_plan(small).entries["grid"] == {"resolution": 128, "extent": 2.1, "stride": 1}
    nerf = {"reconstructor": "instant_nerf_large.ckpt", "variant": "nerf"}
    assert sharp_it_plan(small, **nerf).entries["grid"] == {"resolution": 255, "extent": 2.0, "density_threshold": 10.0, "stride": 2}
    assert instantmesh_plan(small, **nerf, grid_resolution=64).entries["grid"]["resolution"] == 63


def test_half_precision_leaves_positions_and_the_autoencoder_in_single(small):
    single = {"shap_e_params", "shap_e_field", "vae_encoder", "vae_decoder", "field_geometry", "field_weights", "field_color"}
    computed = kinds(sharp_it_plan(small, FP16))
    assert {kind for kind, compute in computed.items() if compute == "fp32"} == single
    computed = kinds(instantmesh_plan(small, FP16))
    assert computed["reference_encoder"] == computed["vae_decoder"] == "fp32" and computed["views_step"] == "fp16"
    assert set(kinds(sharp_it_plan(small, FP32)).values()) == {"fp32"}


def test_8_bits_are_for_layers_whose_errors_do_not_add_up(small):
    components = {component.kind: component for component in sharp_it_plan(small, INT8).components()}
    stored = {kind: component.precision.weights for kind, component in components.items()}
    assert {kind for kind, weights in stored.items() if weights == "fp16"} == {"prior_step", "shap_e_params"}
    exact = {"shap_e_field", "field_geometry", "field_weights", "field_color"}
    assert {kind for kind, weights in stored.items() if weights == "fp32"} == exact
    assert {component.precision.compute for component in components.values()} == {"fp32"}


# Choices

def test_choices_that_add_inputs(small):
    assert inputs(sharp_it_plan(small), "vae_encoder") == {"image": (1, 3, 192, 128), "noise": (1, 4, 24, 16)}
    assert inputs(sharp_it_plan(small, coarse_posterior="mode"), "vae_encoder") == {"image": (1, 3, 192, 128)}
    assert inputs(sharp_it_plan(small), "refiner_step")["coarse"] == (1, 4, 24, 16)
    for halves in ("zeros", "zero-image"):
        plan = sharp_it_plan(small, uncond_coarse=halves)
        assert inputs(plan, "refiner_step")["coarse"] == ("halves", 4, 24, 16) and plan.entries["refiner"]["unconditional_coarse"] == halves
    assert inputs(instantmesh_plan(small), "reference_encoder")["noise"] == (2, 4, 8, 8)
    assert "noise" not in inputs(instantmesh_plan(small, posterior="mode"), "reference_encoder")
    assert inputs(instantmesh_plan(small, controlnet=True), "views_step")["control"] == (1, 3, 192, 128)


def test_the_scaling_of_coarse_latents_is_a_choice(small):
    def encoder(**choices):
        return next(spec.module.scaling for spec in sharp_it_plan(small, **choices).components() if spec.kind == "vae_encoder")

    target, raw = encoder(), encoder(coarse_encoding="raw")
    assert (target.picture, target.factor, target.shift, target.gain) == (1.25, 0.18215, 0.22, 0.75)
    assert (raw.picture, raw.factor, raw.shift, raw.gain) == (1.25, 1.0, 0.0, 1.0)
    assert sharp_it_plan(small, coarse_encoding="raw").entries["refiner"]["coarse_latents"] == "raw"
    views = next(spec.module.scaling for spec in instantmesh_plan(small).components() if spec.kind == "vae_encoder")
    assert views == target
    step = next(spec.module for spec in sharp_it_plan(small, scale_coarse=True).components() if spec.kind == "refiner_step")
    assert step.scale_coarse


def test_every_choice_is_on_record(small):
    choices = SharpItChoices(view_size=64, sampler="diffusers", shrink=False)
    manifest = sharp_it_plan(small, sampler="diffusers", shrink=False).manifest("mine")
    assert manifest["choices"] == dataclasses.asdict(choices)


# Sources and licences

def test_sources_and_licences_are_those_of_the_files(small):
    manifest = sharp_it_plan(small).manifest("mine")
    assert (manifest["name"], manifest["recipe"]) == ("mine", "sharp-it")
    assert manifest["license"]["id"] == "Apache-2.0 AND CC-BY-NC-4.0 AND MIT" and manifest["license"]["commercial_use"] == "no"
    by_name = {source["name"]: source for source in manifest["sources"]}
    assert by_name["Sharp-It refiner"]["license"] == "Apache-2.0 AND CC-BY-NC-4.0"
    assert by_name["Shap-E prior"]["license"] == "MIT" and by_name["Zero123++ autoencoder"]["license"] == "CC-BY-NC-4.0"
    assert by_name["InstantMesh reconstructor"]["file"] == "instant_mesh_large.ckpt"
    assert len(by_name) == 7


def test_the_white_unet_and_the_controlnet_have_their_own_licence(small):
    names = {source.name: source.licence.id for source in instantmesh_plan(small, controlnet=True).sources}
    assert names["InstantMesh white-background UNet"] == "Apache-2.0 AND CC-BY-NC-4.0"
    assert names["Zero123++ ControlNet"] == "CC-BY-NC-4.0"
    assert "Zero123++ UNet" in {source.name for source in instantmesh_plan(small, unet=False).sources}


def test_slips_in_the_files_are_told(small):
    assert [notice for notice in sharp_it_plan(small).notices if "scheduler_config.json" in notice]


def test_every_network_is_checked_before_any_is_read(small):
    paths = InstantMeshPaths(small / "zero123plus-v1.2", small / "instant_mesh_large.ckpt", "mesh", unet=small / "instant_mesh_base.ckpt")
    with pytest.raises(CheckpointError, match="the UNet in .* does not have the tensors of UNet2DConditionModel"):
        instantmesh(paths, InstantMeshChoices(view_size=64), FP32).check()

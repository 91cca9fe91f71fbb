"""The small files of the published pipelines."""

import json

import pytest

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.model_index import (
    ImageProcessor,
    check_zero123plus,
    image_processor,
    kind_of_shap_e,
    ramping_coefficients,
)

CLIP = {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
        "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 224}}
VAE = {"crop_size": 512, "image_mean": 0.5, "image_std": [0.8, 0.8, 0.8], "resample": 2, "size": 512}


@pytest.fixture
def write(tmp_path):
    def folder(document, name="preprocessor_config.json"):
        (tmp_path / name).write_text(json.dumps(document))
        return tmp_path
    return folder


def test_kinds_of_pipelines(published):
    assert kind_of_shap_e(published("shap-e")) == "text" and kind_of_shap_e(published("shap-e-img2img")) == "image"
    check_zero123plus(published("zero123plus-v1.2"))
    with pytest.raises(CheckpointError, match="model_index.json is not of Shap-E; received Zero123PlusPipeline; expected ShapEPipeline or"):
        kind_of_shap_e(published("zero123plus-v1.2"))
    with pytest.raises(CheckpointError, match="is not of Zero123.*; received ShapEPipeline; expected Zero123PlusPipeline"):
        check_zero123plus(published("shap-e"))


def test_a_kind_that_is_no_name(write):
    with pytest.raises(CheckpointError, match=r"is not of Shap-E; received \['ShapEPipeline'\]"):
        kind_of_shap_e(write({"_class_name": ["ShapEPipeline"]}, "model_index.json"))


@pytest.mark.parametrize("version, first", [("1.1", (0.0, 0.2060058)), ("1.2", (0.0030183, 0.2204633, 0.2152784))])
def test_ramps_start_as_published(published, version, first):
    ramp = ramping_coefficients(published(f"zero123plus-v{version}"), 77)
    assert len(ramp) == 77 and ramp[:len(first)] == first


@pytest.mark.parametrize("ramp, received", [(None, "NoneType"), ([0.1] * 76, "a list of 76"), ([0.1] * 76 + ["x"], "a list of 77"),
                                            ([float("nan")] * 77, "a list of 77")])
def test_a_ramp_of_another_length_or_kind(write, ramp, received):
    with pytest.raises(CheckpointError, match=f"ramping_coefficients .* received {received}; expected 77 numbers"):
        ramping_coefficients(write({"ramping_coefficients": ramp}, "model_index.json"), 77)


def test_image_processors_as_published(write):
    assert image_processor(write(CLIP)) == ImageProcessor(
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), 224, "bicubic")
    assert image_processor(write(VAE)) == ImageProcessor((0.5, 0.5, 0.5), (0.8, 0.8, 0.8), 512, "bilinear")


def test_pictures_of_another_size_than_the_encoder_sees(write):
    assert image_processor(write(CLIP), 224).size == 224
    with pytest.raises(CheckpointError, match="does not belong to its encoder; received pictures of 224 pixels; expected 336 pixels"):
        image_processor(write(CLIP), 336)


@pytest.mark.parametrize("change", [
    {"do_center_crop": False}, {"do_normalize": False}, {"resample": 9}, {"size": {"height": 224, "width": 200}}, {"crop_size": 200},
    {"size": None}, {"size": {"shortest_edge": [224]}}, {"size": {}}, {"rescale_factor": 1.0}, {"rescale_factor": "1/255"},
    {"resample": [3]}, {"resample": 1}])
def test_another_way_of_preparing_pictures_is_refused(write, change):
    with pytest.raises(CheckpointError, match="preprocessor_config.json preprocesses pictures differently; received size"):
        image_processor(write(CLIP | change))


def test_channels_that_are_not_three_numbers(write):
    with pytest.raises(CheckpointError, match="image_std is not one number or three"):
        image_processor(write(CLIP | {"image_std": [0.5, 0.5]}))
    with pytest.raises(CheckpointError, match="image_std is not above zero"):
        image_processor(write(CLIP | {"image_std": [0.5, 0.5, 0]}))

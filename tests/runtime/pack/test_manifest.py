"""Sections of pack.json that published packs have: what is read, what is refused."""

import json

import pytest

from meshwright.runtime import Pack, PackError, PackFormat
from meshwright.runtime.geometry.shading import Shading
from meshwright.runtime.pack.manifest import PictureInput, Resize, Source
from tests.runtime.pack.test_pack import edit
from tests.runtime.tiny_pack import build
from tests.runtime.tiny_pictures import build_both, build_instantmesh, build_steered


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """pack.json documents by recipe, and a folder to write changed ones to."""
    folder = tmp_path_factory.mktemp("packs")
    return {"instantmesh": build_instantmesh(folder / "instantmesh", density=True), "sharp-it": build_steered(folder / "steered")}


@pytest.fixture
def pack(built, request):
    """A pack folder whose pack.json is put back afterwards."""
    def choose(recipe):
        path = built[recipe] / "pack.json"
        before = path.read_bytes()
        request.addfinalizer(lambda: path.write_bytes(before))
        return built[recipe]
    return choose


def test_sections_of_an_instantmesh_pack(pack):
    manifest = Pack.open(pack("instantmesh")).manifest
    assert manifest.text is manifest.prior is manifest.refiner is manifest.coarse is None
    assert manifest.picture == PictureInput(1.0, Resize(16, "bicubic"), Resize(32, "bilinear"))
    assert manifest.multiview.unconditional == "encoder" and manifest.multiview.unconditional_coarse == "same"
    assert manifest.grid.density_threshold == 10.0 and manifest.views.shading is None
    assert manifest.sources[1:] == (Source("views", "CC-BY-NC-4.0", "no"), Source("mesh", "Apache-2.0", "yes"))
    step = manifest.find("views_step")
    assert step.takes("reference_noise") and not step.takes("control") and step.compute == "fp32"
    assert step.shape("reference_noise") == (2, 4, 4, 4)
    with pytest.raises(PackError, match="views_step lacks an input of a fixed shape; expected control"):
        step.shape("control")


def test_sections_of_a_steered_pack(pack):
    folder = pack("sharp-it")
    edit(folder, views__shading={"ambient": 0.3, "diffuse": 0.7, "direction": [0, 3, 4], "two_sided": True, "linear": False},
         coarse__shrink=0.98, sources=[{"name": "a"}], components__refiner_step__compute="fp16",
         components__prior_step__precision="int8")
    manifest = Pack.open(folder).manifest
    assert manifest.views.shading == Shading(0.3, 0.7, (0.0, 0.6, 0.8), two_sided=True, linear=False)
    assert manifest.coarse.shrink == 0.98 and manifest.picture.reference is None
    assert manifest.sources == (Source("a", "unknown", None),)
    assert manifest.sources[0].describe() == {"name": "a", "license": "unknown"}
    assert manifest.find("refiner_step").compute == "fp16" and manifest.find("prior_step").compute == "fp32"
    assert manifest.find("prior_step").precision == "int8"
    assert manifest.grid.density_threshold is None


def test_unknown_entries_are_left_alone(pack):
    """Exporters note more than the runtime needs."""
    folder = pack("sharp-it")
    edit(folder, choices={"posterior": "sample"}, components__refiner_step__seconds=3.5)
    assert Pack.open(folder).manifest.name == "tiny"


def test_weights_beside_a_model_file_count(pack):
    folder = pack("sharp-it")
    (folder / "prior_step.onnx.data").write_bytes(b"12345")
    files = json.loads((folder / "pack.json").read_text())["files"]
    from hashlib import sha256

    edit(folder, files=files | {"prior_step.onnx.data": {"sha256": sha256(b"12345").hexdigest(), "bytes": 5}})
    manifest = Pack.open(folder).manifest
    assert manifest.size(manifest.find("prior_step")) == files["prior_step.onnx"]["bytes"] + 5
    assert manifest.size(manifest.find("vae_encoder")) == files["vae_encoder.onnx"]["bytes"]


@pytest.mark.parametrize(("changes", "lit"), [
    ({}, True), ({"choices": {"posterior": "sample"}}, False), ({"views__lit": False}, False),
    ({"choices": {"posterior": "sample"}, "views__lit": True}, True)])
def test_whose_light_the_views_carry(pack, changes, lit):
    """Packs of older exporters do not say; those of published checkpoints have the exporter's choices in them."""
    folder = pack("sharp-it")
    edit(folder, **changes)
    assert Pack.open(folder).manifest.views.lit is lit


SHADING = {"ambient": 0.3, "diffuse": 0.7, "direction": [0, 0, 1], "two_sided": True, "linear": True}


@pytest.mark.parametrize(("recipe", "changes", "message"), [
    ("instantmesh", {"multiview": None}, "multiview has the wrong type"),
    ("instantmesh", {"recipe": "sharp-it"}, "lacks an entry; expected text"),
    ("instantmesh", {"picture": {"background": 1.0}}, "lacks an entry; expected encoder"),
    ("instantmesh", {"picture__background": 1.5}, "background is out of range; received 1.5"),
    ("instantmesh", {"picture__encoder__resample": "nearest"}, "received nearest; expected bicubic or bilinear"),
    ("instantmesh", {"picture__reference__size": 0}, "size is out of range"),
    ("instantmesh", {"picture": {"background": 1.0, "encoder": {"size": 16, "resample": "bicubic"}}}, "picture of reference_encoder"),
    ("instantmesh", {"grid": {"resolution": 32, "extent": 2.0}}, "density_threshold, which field_density needs"),
    ("instantmesh", {"grid__density_threshold": "ten"}, "density_threshold has the wrong type"),
    ("sharp-it", {"prior__unconditional": "empty"}, "no unconditional embedding"),
    ("sharp-it", {"refiner__unconditional": "encoder"}, "unconditional half of refiner_step cannot come from its encoder"),
    ("sharp-it", {"refiner__unconditional_coarse": "grey"}, "unknown value"),
    ("sharp-it", {"refiner__guidance_interval": [0.5]}, "guidance_interval is not an interval; received \\[0.5\\]"),
    ("sharp-it", {"refiner__guidance_interval": [5.0, 0.5]}, "is not an interval; .*expected two numbers, the lower one first"),
    ("sharp-it", {"picture": {}}, "lacks an entry"),
    ("sharp-it", {"coarse__shrink": float("inf")}, "finite"),
    ("sharp-it", {"views__shading": SHADING | {"direction": [0, 0, 0]}}, "direction is not a vector"),
    ("sharp-it", {"views__shading": SHADING | {"direction": [0, 1]}}, "direction is not a vector"),
    ("sharp-it", {"views__shading": SHADING | {"linear": 1}}, "linear has the wrong type"),
    ("sharp-it", {"views__lit": 1}, "lit has the wrong type"),
    ("sharp-it", {"sources": [{"name": "a", "commercial_use": "perhaps"}]}, "commercial_use has an unknown value"),
    ("sharp-it", {"components__refiner_step__compute": "int8"}, "compute has an unknown value"),
])
def test_malformed_sections_are_refused(pack, recipe, changes, message):
    folder = pack(recipe)
    edit(folder, **changes)
    with pytest.raises(PackFormat, match=message):
        Pack.open(folder)


def test_coarse_latents_that_the_refiner_cannot_take(tiny, tmp_path):
    import shutil

    folder = shutil.copytree(tiny, tmp_path / "copy")
    edit(folder, refiner__unconditional_coarse="zeros")
    with pytest.raises(PackFormat, match="one coarse latent for both halves; received zeros; expected same"):
        Pack.open(folder)


def test_sections_of_a_pack_for_prompts_and_pictures(tmp_path):
    folder = build_both(tmp_path / "both")
    manifest = Pack.open(folder).manifest
    assert (manifest.prior.unconditional, manifest.prior.unconditional_image) == ("empty", "empty")
    assert manifest.refiner.unconditional_image is None and manifest.picture.ratio == 0.85
    assert manifest.prior.guidance_interval is None
    edit(folder, picture__ratio=0.5, prior__guidance_interval=[0, 12.5])
    manifest = Pack.open(folder).manifest
    assert manifest.picture.ratio == 0.5 and manifest.prior.guidance_interval == (0.0, 12.5)


@pytest.mark.parametrize(("change", "message"), [
    ({"picture__ratio": 0.0}, "ratio is out of range"),
    ({"picture__ratio": 1.5}, "ratio is out of range"),
    ({"prior__unconditional_image": "encoder"}, "unconditional_image"),
    ({"multiview": None}, "has no loop for views_step; expected multiview"),
], ids=str)
def test_a_pack_for_both_that_is_wrong(tmp_path, change, message):
    folder = build_both(tmp_path / "both")
    document = json.loads((folder / "pack.json").read_text())
    if change == {"multiview": None}:
        del document["multiview"]
        (folder / "pack.json").write_text(json.dumps(document))
    else:
        edit(folder, **change)
    with pytest.raises(PackFormat, match=message):
        Pack.open(folder)


def test_a_prior_that_follows_pictures_needs_their_encoder(tmp_path):
    folder = build(tmp_path / "tiny")
    edit(folder, prior__unconditional_image="empty")
    with pytest.raises(PackFormat, match="no encoder for the prior's pictures"):
        Pack.open(folder)

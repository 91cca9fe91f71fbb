"""TensorRT takes every component of the published layouts, calculated in FP16; each layout is built once."""

import pytest

from meshwright.export import cli as command
from meshwright.runtime import Pack
from meshwright.runtime.cli import main as cli
from tests.engines.platforms import TENSORRT_RTX

pytestmark = [TENSORRT_RTX, pytest.mark.slow(80)]


@pytest.fixture
def built(tmp_path, monkeypatch, capsys):
    """A function that exports the pack of those arguments in FP16 and builds it: what each component calculates in.

    only : components to build, where another test builds the others
    """
    def build(*arguments, only=()):
        pack = tmp_path / "half"
        assert command.main([*arguments, "--precision", "fp16-compute", "--view-size", "64", "--grid-resolution", "32", "--quiet",
                             "-o", str(pack)]) == 0
        components = Pack.open(pack).manifest.components
        monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
        named = [part for name in only for part in ("--component", name)]
        assert cli.main(["build", str(pack), "--backend", "tensorrt-rtx", *named]) == 0, capsys.readouterr().err
        assert len(list((tmp_path / "cache/engines").glob("*.engine"))) == len(only or components)
        return {kind: component.compute for kind, component in components.items()}
    return build


def named(published, **sources):
    return [part for option, name in sources.items() for part in (f"--{option.replace('_', '-')}", str(published(name)))]


def test_every_component_from_text_to_mesh(published, built):
    computed = built("sharp-it", "--coarse-points", "48", *named(
        published, refiner="Sharp-It", zero123plus="zero123plus-v1.2", shap_e="shap-e", instantmesh="instant_mesh_large.ckpt"))
    assert computed["refiner_step"] == computed["prior_step"] == "fp16"


def test_the_components_that_a_picture_needs_besides(published, built):
    """With a ControlNet; the two passes of the step over one text once crashed the library. What follows the views is the same as above."""
    computed = built("instantmesh", *named(
        published, zero123plus="zero123plus-v1.2", controlnet="controlnet", instantmesh="instant_mesh_large.ckpt"),
        only=("image_encoder", "reference_encoder", "views_step"))
    assert computed["views_step"] == computed["reconstructor"] == "fp16" and computed["reference_encoder"] == "fp32"

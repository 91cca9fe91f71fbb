"""TensorRT takes every component of the published layout from text to mesh, calculated in FP16."""


from meshwright.export import command
from meshwright.runtime import Pack, cli
from tests.engines.platforms import TENSORRT_RTX

pytestmark = TENSORRT_RTX


def test_every_component_of_a_published_layout(published, tmp_path, monkeypatch, capsys):
    sources = {"--refiner": "Sharp-It", "--zero123plus": "zero123plus-v1.2", "--shap-e": "shap-e",
               "--instantmesh": "instant_mesh_large.ckpt"}
    named = [part for option, name in sources.items() for part in (option, str(published(name)))]
    pack = tmp_path / "half"
    assert command.main(["sharp-it", *named, "--precision", "fp16-compute", "--view-size", "64", "--coarse-points", "48",
                         "--grid-resolution", "32", "--quiet", "-o", str(pack)]) == 0
    components = Pack.open(pack).manifest.components
    assert len(components) == 12 and components["refiner_step"].compute == "fp16"
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    assert cli.main(["build", str(pack), "--backend", "tensorrt-rtx"]) == 0, capsys.readouterr().err
    assert len(list((tmp_path / "cache/engines").glob("*.engine"))) == 12

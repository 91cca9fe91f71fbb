"""The recipe `dmv3d` in pack.json."""

import json

import pytest

from meshwright.export.props import planes_recipe
from meshwright.runtime import PackError
from meshwright.runtime.pack.reader import parse_manifest
from tests.runtime import tiny_pack


@pytest.fixture
def document(tmp_path):
    """pack.json of a small pack, with the entries of a trained recipe."""
    (tmp_path / "dmv3d.pt").touch()
    pack = json.loads((tiny_pack.build(tmp_path / "pack") / "pack.json").read_bytes())
    return {**pack, **planes_recipe.sections(tmp_path), "recipes": ["sharp-it", "dmv3d"]}


def test_its_entries_are_those_that_the_runtime_reads(document, tmp_path):
    manifest = parse_manifest(json.dumps(document).encode())
    assert manifest.recipes == ("sharp-it", "dmv3d")
    assert manifest.posed_views.latent_shape == (1, 4, 3, 64, 64) and manifest.posed_views.steps == planes_recipe.STEPS
    assert manifest.circle.azimuths == (0, 90, 180, 270) and manifest.circle.radius == 2.4
    assert planes_recipe.sections(tmp_path / "nothing") == {} and planes_recipe.components(tmp_path / "nothing") == ()


@pytest.mark.parametrize("section, entry, value", [
    ("circle", "azimuths", [0, 120, 240]), ("circle", "elevations", [20, 20, 20, 95]), ("circle", "fov", 0),
    ("posed_views", "latent_shape", [1, 4, 3, 64, 32]), ("posed_views", "latent_shape", [1, 6, 3, 64, 64])])
def test_views_that_no_loop_can_denoise_are_refused(document, section, entry, value):
    document[section][entry] = value
    with pytest.raises(PackError, match=section):
        parse_manifest(json.dumps(document).encode())

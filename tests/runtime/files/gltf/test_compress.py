"""Files that are small on request: read back by our reader, and looked at by Khronos' validator."""

import numpy as np
import pytest

from meshwright.engines.errors import BackendUnavailable, InputError
from meshwright.runtime import read_mesh
from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.file_parts import read_parts
from meshwright.runtime.assets.finish import finish
from meshwright.runtime.assets.lint import lint
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.assets.surface_maps import tangents
from meshwright.runtime.files.gltf import encoding
from meshwright.runtime.files.gltf.encoding import Encoding, color_bytes
from meshwright.runtime.files.gltf.writer import Model, models_bytes
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import letter_f, position_colors, to_texture

KINDS = [Encoding("webp"), Encoding("ktx2"), Encoding(geometry="meshopt"), Encoding(geometry="draco"), Encoding("ktx2", "meshopt")]


@pytest.fixture(scope="module")
def models():
    """A letter with everything that a vertex may have, and a plain one."""
    from meshwright.runtime.texture.atlas import make_atlas

    plain = letter_f(detail=3).with_normals()
    mesh = unwrap(plain, 128).mesh
    atlas = make_atlas(mesh, 128)
    mesh = mesh.replace(texture=to_texture(atlas, position_colors(atlas.position)), colors=np.full((len(mesh.vertices), 3), 200, np.uint8))
    flat = np.full((64, 64, 3), (128, 128, 255), np.uint8)
    return [Model("letter", mesh, flat, tangents(mesh)), Model("hull", plain.replace(vertices=plain.vertices / 50), plain=True)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_is_read_back(models, tmp_path, kind):
    whole, small = models_bytes(models), models_bytes(models, encoding=kind)
    assert small == models_bytes(models, encoding=kind)
    (tmp_path / "whole.glb").write_bytes(whole)
    (tmp_path / "small.glb").write_bytes(small)
    one, two = read_mesh(tmp_path / "whole.glb"), read_mesh(tmp_path / "small.glb")
    assert two.notices == () and len(one.mesh.faces) == len(two.mesh.faces)
    views = [render_views(file.mesh, orbit((30.0, 210.0), (20.0, -10.0)), 96) for file in (one, two)]
    assert np.abs(views[0] - views[1]).mean() < 0.003
    size = np.ptp(one.original.bounds, axis=0).max()
    assert np.abs(one.original.bounds - two.original.bounds).max() < size / 30_000
    if kind.geometry != "none":
        assert len(small) < 0.7 * len(whole)
    parts = read_parts(tmp_path / "small.glb")
    assert set(parts.extensions) == set(kind.extensions)
    texture = next(part.texture for part in parts.parts if part.texture is not None)
    assert (texture.kind, texture.size) == (kind.texture, (128, 128))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.texture != "ktx2"], ids=str)
def test_khronos_validator(models, validate, kind):
    """Without errors and warnings. It knows EXT_texture_webp; of the others it looks at what is around them."""
    validate(models_bytes(models, encoding=kind))


def test_the_encodings_of_colours():
    """A texture with an edge, in each format."""
    from meshwright.runtime.images.pictures import picture_of

    texture = np.repeat(np.uint8([[[200, 30, 30]] * 32 + [[30, 60, 200]] * 32]), 64, axis=0)
    for kind in ("png", "jpeg", "webp"):
        pixels = picture_of(color_bytes(texture, kind), kind).pixels[..., :3].astype(float)
        assert np.abs(pixels - texture).mean() < (0.01 if kind == "png" else 3)
    assert color_bytes(texture, "ktx2")[:7] == b"\xabKTX 20"


@pytest.mark.parametrize(("engine", "options", "message"), [
    ("unreal", {"compress": "draco"}, "unreal does not read KHR_draco_mesh_compression; received draco; expected what it reads: png, jpeg"),
    ("godot", {"compress": "meshopt"}, "godot does not read EXT_meshopt_compression"),
    ("roblox", {"texture_format": "webp"}, "roblox does not read EXT_texture_webp"),
])
def test_an_engine_that_cannot_read_it(engine, options, message):
    with pytest.raises(InputError, match=message):
        make_asset(letter_f(), letter_f(), AssetOptions(**options), made_for=engine)


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(encoding, "find_spec", lambda name: None if name == "meshopt" else object())
    with pytest.raises(BackendUnavailable, match=r"meshopt is written by another package; .*; pip install 'meshwright\[meshopt\]'"):
        make_asset(letter_f(), letter_f(), AssetOptions(compress="meshopt"))


def test_an_asset_passes_for_its_engine(models, tmp_path):
    (tmp_path / "in.glb").write_bytes(models_bytes(models[:1]))
    options = AssetOptions(texture_format="webp", compress="meshopt", height=1.0)
    finish(tmp_path / "in.glb", options, made_for="web").save(tmp_path / "out.glb")
    verdicts = {verdict.check: verdict.severity for verdict in lint(tmp_path / "out.glb")}
    assert verdicts["extensions"] == verdicts["texture format"] == "ok"
    assert {verdict.severity for verdict in lint(tmp_path / "out.glb", "unreal") if verdict.check in ("extensions", "texture format")} == {
        "error"}

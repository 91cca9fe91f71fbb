"""Real importers, where they are installed: Godot 3, Blender as a module, and three.js in headless Chromium."""

import pytest

from benchmarks.assets.importers import Imported, differences, in_blender, in_godot, in_three
from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.options import AssetOptions
from tests.importers import BLENDER, needs_blender, needs_chromium, needs_godot, node_package
from tests.runtime.shapes import letter_f, position_colors

THREE = ("three@0.187.0", "playwright-core@1.65.1")
LETTER = letter_f(detail=3)
COLORED = LETTER.replace(colors=(position_colors(LETTER.vertices) * 255).astype("uint8"))


def written(folder, **options):
    """A letter 2 m high with its pivot at the bottom, and the file with its finest level."""
    asset = make_asset(LETTER, COLORED, AssetOptions(texture=128, height=2.0, origin="bottom", **options))
    return asset, asset.save(folder / "letter.glb")[0]


@pytest.mark.slow
@needs_godot
def test_godot_makes_static_bodies_of_the_shapes(tmp_path):
    asset, file = written(tmp_path, collision="hull", naming="godot")
    found = in_godot([file])["letter.glb"]
    assert differences(asset, found, {"letter": 0}) == []
    assert found.hulls == {"letter_hull_00": "ConvexPolygonShape"} and found.textures["letter"] == 128


@pytest.mark.slow
@needs_blender
def test_blender_reads_all_levels_below_one_node(tmp_path):
    asset, file = written(tmp_path, lods=(0.5, 0.25), naming="unity")
    found = in_blender(BLENDER, [file], tmp_path)["letter.glb"]
    assert differences(asset, found, {f"letter_LOD{k}": k for k in range(3)}) == []
    assert set(found.parents.values()) == {"letter"} and (tmp_path / "letter.png").stat().st_size > 1000


@pytest.mark.slow
@needs_chromium
def test_three_draws_what_is_for_the_web(tmp_path):
    asset, file = written(tmp_path, texture_format="jpeg")
    found = in_three(node_package(*THREE), [file], tmp_path)["letter.glb"]
    assert differences(asset, found, {"letter": 0}) == []
    assert found.textures["letter"] == 128 and (tmp_path / "letter.png").stat().st_size > 1000


def test_differences_are_said(tmp_path):
    asset, _ = written(tmp_path)
    width, height, depth = asset.size
    right = Imported((-width / 2, 0, -depth / 2), (width / 2, height, depth / 2), {"letter": len(LETTER.faces)})
    assert differences(asset, right, {"letter": 0}) == []
    turned = Imported(right.low, (width / 2, depth, height), {"letter": 3})
    said = differences(asset, turned, {"letter": 0})
    assert len(said) == 3 and said[0].startswith("size") and said[1].startswith("pivot") and said[2].startswith("letter has 3")

"""Nodes that an engine does not draw, by their names."""

import pytest

from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.files.gltf.node_names import LEVELS, SHAPES, undrawn
from meshwright.runtime.files.reader import read_mesh
from tests.runtime.shapes import letter_f


def test_names():
    names = {"chair", "chair_LOD0", "chair_LOD1", "chair_LOD12", "table_LOD1", "UCX_chair_00", "UCX_lamp_00", "chair_box_00", "hull_01",
             "chair_hull_00-convcolonly", "chair-col", "UBX_chair_LOD0_00"}
    assert undrawn(names) == {"chair_LOD1": LEVELS, "chair_LOD12": LEVELS, "UCX_chair_00": SHAPES, "UBX_chair_LOD0_00": SHAPES,
                              "chair_box_00": SHAPES, "chair_hull_00-convcolonly": SHAPES}


@pytest.mark.parametrize(("naming", "said"), [("unity", [LEVELS]), ("unreal", [SHAPES]), ("godot", [SHAPES])])
def test_a_file_for_an_engine_is_read_as_its_finest_level_alone(naming, said, tmp_path):
    letter = letter_f(detail=3)
    options = AssetOptions(naming=naming, lods=(0.5,) if naming == "unity" else (), collision="none" if naming == "unity" else "hull")
    asset = make_asset(letter, letter, options)
    read = read_mesh(asset.save(tmp_path / "letter.glb")[0])
    assert len(read.mesh.faces) == len(asset.levels[0].mesh.faces)
    assert [notice.partition(" are left out")[0] for notice in read.notices] == said

"""Every open axis of the packs has a range, and one that is unknown is refused."""

import pytest

from meshwright.engines import EngineSpec, TensorSpec
from meshwright.engines.errors import PackError
from meshwright.runtime import Pack
from meshwright.runtime.backends.pack_engines import ranges_of


def test_ranges_of_the_bundled_pack():
    manifest = Pack.open("props", verify=False).manifest
    ranges = {name: ranges_of(c.spec, manifest.voxels) for name, c in manifest.components.items()}
    found = {name: {axis: str(each) for axis, each in opened.items()} for name, opened in ranges.items() if opened}
    voxels = {"voxels_0": "2048:8192:32768", "voxels_1": "256:1024:4096", "voxels_2": "128:512:2048"}
    assert found.pop("condition_voxels") == {"voxels_0": voxels["voxels_0"]}
    assert found.pop("sparse_step") == {"halves": "1:2:2", **voxels}
    for step in ("prior_step", "refiner_step", "views_step", "occupancy_step"):  # which packs of older exporters do not open
        assert found.pop(step, {"halves": "1:2:2"}) == {"halves": "1:2:2"}
    points = {"points": "1:65536:65536"}
    assert found == {"text_encoder": {"batch": "1:1:2"}, "shap_e_field": points, "field_geometry": points,
                     "field_weights": {"cubes": "1:8192:8192"}, "field_color": points}


def test_an_unknown_axis_is_refused():
    with pytest.raises(PackError, match="no known range; received frames; expected batch, halves, points, rays, cubes"):
        ranges_of(EngineSpec((TensorSpec("x", "float32", (1, "frames")),), ()))

"""COLLADA files: the axes and the unit that they name, the colours of their materials."""

import re

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.reader import read_mesh

# In each file a box of 1 x 2 x 3 units: its sides along right, up and front in the world.
SIDES = {"Y_UP": (1, 2, 3), "Z_UP": (1, 3, 2), "X_UP": (2, 1, 3)}


def box(up="Y_UP", unit=None):
    import trimesh

    mesh = trimesh.creation.box((1, 2, 3))
    mesh.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(baseColorFactor=(200, 30, 30, 255)))
    text = trimesh.exchange.dae.export_collada(mesh).decode()
    text = re.sub(r"(<diffuse>\s*<color>)[^<]*", r"\g<1>0.7843 0.1176 0.1176 1.0", text)
    return text.replace("<up_axis>Y_UP</up_axis>", (f'<unit name="u" meter="{unit}"/>' if unit else "") + f"<up_axis>{up}</up_axis>")


@pytest.mark.parametrize("up", SIDES)
def test_axes_and_unit(up, tmp_path):
    (tmp_path / "box.dae").write_text(box(up, 0.01))
    found = read_mesh(tmp_path / "box.dae")
    there = found.placement.restored(found.mesh)
    depth, width, height = np.ptp(there.bounds, axis=0)
    assert (width, height, depth) == pytest.approx(0.01 * np.array(SIDES[up]), rel=1e-5)
    assert there.signed_volume > 0 and np.abs(there.colors.astype(int) - [200, 30, 30]).max() <= 1 and found.notices == ()


@pytest.mark.parametrize("data", [b"no mesh", b"<COLLADA/>", b"<COLLADA><asset>"], ids=["text", "empty", "cut"])
def test_what_is_none_is_refused(data, tmp_path):
    (tmp_path / "no.dae").write_bytes(data)
    with pytest.raises(InputError):
        read_mesh(tmp_path / "no.dae")

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.reader import read_mesh
from meshwright.runtime.files.writer import save
from tests.runtime.shapes import letter_f, position_colors


@pytest.mark.parametrize("ending", ["ply", "stl"])
def test_what_we_write_comes_back_where_it_was(ending, tmp_path):
    letter = letter_f()
    letter = letter.replace(colors=(position_colors(letter.vertices) * 255).astype(np.uint8))
    save(letter, tmp_path / f"letter.{ending}")
    found = read_mesh(tmp_path / f"letter.{ending}")
    there = found.placement.restored(found.mesh)
    assert there.vertices[there.faces] == pytest.approx(letter.vertices[letter.faces], abs=1e-6)
    assert found.notices == (f".{ending} says nothing of axes: z is taken for up and -y for the front",)
    if ending == "ply":
        assert np.abs(there.colors[there.faces].astype(int) - letter.colors[letter.faces]).max() <= 1


def test_off_files(tmp_path):
    (tmp_path / "one.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 0 2\n3 0 1 2\n")
    found = read_mesh(tmp_path / "one.off")
    there = found.placement.restored(found.mesh)
    # x to the right is +y in the world, z is up
    assert there.vertices[there.faces][0] == pytest.approx(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 2]]), abs=1e-6)


@pytest.mark.parametrize("ending", ["ply", "stl", "off", "3mf"])
def test_what_is_none_is_refused(ending, tmp_path):
    (tmp_path / f"no.{ending}").write_bytes(b"no mesh")
    with pytest.raises(InputError):
        read_mesh(tmp_path / f"no.{ending}")

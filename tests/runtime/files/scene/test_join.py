"""Pictures that repeat, are mirrored, or are drawn out at their border, against their definition, point by point."""

import numpy as np
import pytest

from meshwright.runtime.files.scene import join
from meshwright.runtime.files.scene.join import join_parts
from meshwright.runtime.files.scene.surfaces import Material, Part
from meshwright.runtime.geometry.render import sample_texture

CORNERS = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
FACE = np.int32([[0, 1, 2]])
WHITE = np.ones(3, np.float32)
# Four columns and two rows, each pixel of a grey of its own.
PICTURE = np.repeat(np.uint8([[0, 60, 120, 180], [30, 90, 150, 210]])[..., None], 3, axis=2)
PLACES = np.random.default_rng(0).dirichlet(np.ones(3), 4000)


def part(uvs, wrap=("repeat", "repeat"), picture=PICTURE, **more):
    uvs = np.float32(uvs)
    corners = np.concatenate([CORNERS + np.float32([2 * i, 0, 0]) for i in range(len(uvs) // 3)])
    return Part(corners, np.arange(len(uvs), dtype=np.int32).reshape(-1, 3), Material(WHITE, picture, wrap, **more), uvs=uvs)


def at(places, wrap):
    """Which pixel, as a fraction, is seen at coordinates `places`, by the definition of OpenGL's wrap modes."""
    if wrap == "clamp":
        return places.clip(0, 1 - 1e-9)
    if wrap == "mirror":
        return (1 - np.abs(places % 2 - 1)).clip(0, 1 - 1e-9)
    return places % 1


def wrong(uvs, wrap, picture=PICTURE):
    """The share of points that show none of the greys around what they should: pixels are blended at their borders."""
    mesh = join_parts([part(uvs, wrap, picture, nearest=True)])
    bad = []
    for face in mesh.faces:
        seen = 255 * sample_texture(mesh.texture, (PLACES @ mesh.uvs[face]).astype(np.float32))[:, 0]
        wanted = PLACES @ np.float64(uvs)[face]
        columns, rows = (np.floor(at(wanted[:, axis], wrap[axis]) * picture.shape[1 - axis]).astype(int) for axis in (0, 1))
        bad.append(np.abs(seen - picture[rows, columns, 0]) > 2)
    return np.mean(bad)


@pytest.mark.parametrize("across", ["repeat", "mirror", "clamp"])
@pytest.mark.parametrize("down", ["repeat", "mirror", "clamp"])
@pytest.mark.parametrize("uvs", [
    [[0, 0], [1, 0], [0, 1]], [[0, 0], [2.5, 0], [0, 1.25]], [[-1.5, -3.25], [0.5, 0], [0, 2]], [[1.1, 3.2], [1.8, 3.2], [1.1, 3.9]],
    [[7, -7], [8, -7], [7, -6]], [[-2, 0], [-1, 0], [-2, 1]],
], ids=str)
def test_wrap_modes(across, down, uvs):
    """Each pixel is shown by 8 by 8, of which one row and one column are blended: 1 - (7 / 8)^2 = 0.23 of the points. Of a picture with 16
    times as many pixels, of which two each are to be had for a window of eight pictures, 1 - (31 / 32)^2 = 0.06."""
    assert wrong(uvs, (across, down)) < 0.24
    assert wrong(uvs, (across, down), np.repeat(np.repeat(PICTURE, 16, axis=0), 16, axis=1)) < 0.062


def test_mirrored_at_a_quarter_beyond_the_border():
    """u = 1.25 shows what u = 0.75 shows: the last of four columns ends at 1, and is seen again up to 1.25."""
    mesh = join_parts([part([[0, 0.1], [1.26, 0.1], [0, 0.2]], ("mirror", "clamp"), np.repeat(np.repeat(PICTURE, 32, axis=0), 32, axis=1))])
    for u, grey in ((0.1, 0), (0.7, 120), (0.9, 180), (1.1, 180), (1.24, 180)):
        place = np.float32([1 - u / 1.26, u / 1.26, 0])
        assert round(255 * float(sample_texture(mesh.texture, place[None] @ mesh.uvs)[0, 0])) == grey, u
    assert round(255 * float(sample_texture(mesh.texture, mesh.uvs[1:2])[0, 0])) == 120  # at 1.26, mirrored 0.74


def test_a_wall_that_repeats_often_takes_nothing_from_the_rest():
    """One face repeats the picture a hundred times and shows its mean; the other shows the whole picture."""
    big = np.kron(PICTURE, np.ones((64, 64, 1), np.uint8))
    mesh = join_parts([part([[0, 0], [100, 0], [0, 1], [0, 0], [1, 0], [0, 1]], picture=big)])
    mean, whole = ((255 * sample_texture(mesh.texture, (PLACES @ mesh.uvs[face]).astype(np.float32))[:, 0]).round() for face in mesh.faces)
    assert np.unique(mean).tolist() == [105]  # of 0, 30, 60, ... 210
    wanted = PLACES @ np.float64([[0, 0], [1, 0], [0, 1]])
    assert (np.abs(whole - PICTURE[(2 * wanted[:, 1]).astype(int), (4 * wanted[:, 0]).astype(int), 0]) > 2).mean() < 0.05


def test_coordinates_that_are_no_numbers_spoil_their_own_face_alone():
    big = np.kron(PICTURE, np.ones((8, 8, 1), np.uint8))
    mesh = join_parts([part([[0, 0], [np.nan, 0], [0, 1], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1]], picture=big)])
    seen = 255 * sample_texture(mesh.texture, mesh.uvs)[:, 0]
    np.testing.assert_allclose(seen, [105, 105, 105, 0, 0, 0], atol=1)  # the mean, and the first pixel


def test_crisp_pixels_keep_their_edges():
    """Close to the border of two pixels each side shows its own colour; where they are blended, both show the middle."""
    uvs = [[0.24, 0.1], [0.26, 0.1], [0.24, 0.2]]
    nearest, blended = (join_parts([part(uvs, nearest=nearest)]) for nearest in (True, False))
    assert (255 * sample_texture(blended.texture, blended.uvs[:2])[:, 0]).round().tolist() == pytest.approx([28, 32], abs=1)
    sharp = (255 * sample_texture(nearest.texture, nearest.uvs[:2])[:, 0]).round()
    assert sharp[0] < 12 and sharp[1] > 30 + 18


def test_the_common_texture_is_bounded(monkeypatch):
    """Many windows of one picture share what there is."""
    monkeypatch.setattr(join, "MAX_TEXELS", 1 << 14)
    big = np.full((256, 256, 3), 9, np.uint8)
    mesh = join_parts([part([[0, 0], [n, 0], [0, n]], picture=big) for n in (1, 2, 4, 8, 16)])
    assert mesh.texture.shape[0] * mesh.texture.shape[1] <= 1 << 14

import numpy as np

from meshwright.export.props.world import sdf
from meshwright.export.props.world.photos import random_photo
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import orbit

SEED = 50_100_000


def test_a_photo_comes_again_from_its_seed():
    rgb, mask, shot, prop = random_photo(SEED, 64)
    again, same_mask, same_shot, same_prop = random_photo(SEED, 64)
    assert rgb.shape == (64, 64, 3) and rgb.dtype == np.uint8 and mask.shape == (64, 64) and mask.dtype == bool
    np.testing.assert_array_equal(rgb, again)
    np.testing.assert_array_equal(mask, same_mask)
    assert shot == same_shot and prop.seed == same_prop.seed == SEED


def test_the_object_stays_whole_in_the_picture():
    for seed in range(SEED, SEED + 12):
        _, mask, shot, prop = random_photo(seed, 64)
        size = 64
        right, down = (round(part * size) for part in shot.shift)
        bare = sdf.render_rgba(prop.primitives, shot.c2w(), size, shot.fov)[0, ..., 3] > 0.5
        np.testing.assert_array_equal(mask, np.roll(bare, (down, right), axis=(0, 1)))
        assert mask.sum() == bare.sum() > 20


def test_light_and_gloss_change_the_colour_and_not_the_outline():
    prop, c2w = make_prop(SEED).primitives, orbit([20.0], [20.0], 4.0).c2w
    plain = sdf.render_rgba(prop, c2w, 48)
    dark = sdf.render_rgba(prop, c2w, 48, light=sdf.Light(ambient=0.2, diffuse=0.0))
    shiny = sdf.render_rgba(prop, c2w, 48, light=sdf.Light(gloss=0.5))
    np.testing.assert_array_equal(plain[..., 3], dark[..., 3])
    assert dark[..., :3].sum() < 0.5 * plain[..., :3].sum() < plain[..., :3].sum() <= shiny[..., :3].sum()


def test_views_are_the_colours_on_white():
    prop, c2w = make_prop(SEED).primitives, orbit([20.0], [20.0], 4.0).c2w
    seen = sdf.render_rgba(prop, c2w, 48)
    np.testing.assert_allclose(sdf.render(prop, c2w, 48), seen[..., :3] + 1 - seen[..., 3:], atol=1e-6)
    assert seen[0, 0, 0].tolist() == [0, 0, 0, 0]

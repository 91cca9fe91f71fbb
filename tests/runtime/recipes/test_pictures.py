"""Several pictures: which views they stand for, that these stay, and that the others are drawn around them."""

import numpy as np
import pytest

from meshwright.runtime import InputError, Picture, Pipeline, Step
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import make_table
from meshwright.runtime.pack.manifest import Views
from meshwright.runtime.recipes.pictures import fit_to_view, known_grid, known_mask, known_views
from meshwright.runtime.recipes.settings import LoopSettings
from meshwright.runtime.recipes.stages import KnownViews, denoise
from meshwright.runtime.request import Request
from tests.runtime.pack.test_pack import edit
from tests.runtime.recipes.test_routes import BLOCK, BLUE, FAST, RED, cut
from tests.runtime.recipes.test_steered import drained
from tests.runtime.tiny_pictures import build_both, build_instantmesh, build_steered

GREEN = cut((20, 160, 40))
EMPTY = Picture.of(np.full((40, 40, 3), 7, np.uint8))
SIX = Views(32, 3, 2, (30.0, 90.0, 150.0, 210.0, 270.0, 330.0), (20.0, -10.0) * 3, 30.0, 4.0, 1.0)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with Pipeline.open(build_both(tmp_path_factory.mktemp("packs") / "both"), threads=1) as pipe:
        yield pipe


@pytest.mark.parametrize(("views", "numbers"), [
    ({0: RED, 90: BLUE}, [1]), ({0: RED, 82: BLUE, 330: GREEN}, [1, 5]), ({0: RED, -30: BLUE}, [5]), ({45: RED, 135: BLUE}, [1]),
    ([(0, RED), (35.5, BLUE)], [0]),
], ids=str)
def test_views_that_pictures_stand_for(views, numbers):
    """Azimuths count from the first picture; ten degrees off is near enough."""
    request = Request.load(views=views)
    assert request.image is RED and list(known_views(request, SIX)) == numbers


@pytest.mark.parametrize(("views", "message"), [
    ({0: RED, 180: BLUE}, "the pack has no view at 180 degrees from the first picture; .*expected 30, 90, 150, 210, 270, 330"),
    ({0: RED, 101: BLUE}, "the pack has no view at 101"),
    ({0: RED, 85: BLUE, 95: GREEN}, "two pictures are for the same view; received azimuths near 90, twice"),
], ids=str)
def test_azimuths_that_are_refused(both, views, message):
    with pytest.raises(InputError, match=message):
        both.stream(views=views)


@pytest.mark.parametrize(("options", "message"), [
    ({"views": {azimuth: RED for azimuth in range(0, 350, 50)}}, "too many pictures; received 7; expected at most 6"),
    ({"image": RED, "views": {azimuth: RED for azimuth in range(30, 350, 50)}}, "too many pictures; received 8"),
    ({"views": [(0, RED), (90, BLUE), (90.0, RED)]}, "the same azimuth; received 90 degrees"),
    ({"views": [(0, RED), (360, BLUE)]}, "the same azimuth"),
    ({"image": RED, "views": {0: BLUE}}, "the same azimuth; received 0 degrees"),
    ({"image": RED, "views": {-1e-20: BLUE}}, "the same azimuth; received 0 degrees"),
    ({"views": {0: 5}}, "the view at 0 is not a picture; received int; expected a Picture from read_picture"),
    ({"views": {0: None}}, "the view at 0 has no picture"),
    ({"views": {"front": RED}}, "the azimuth of a view is out of range; received 'front'"),
    ({"views": {float("nan"): RED}}, "azimuth of a view is out of range"),
    ({"views": {400: RED}}, "azimuth of a view is out of range"),
    ({"views": 7}, "views is not a list of azimuths and pictures"),
    ({"views": {0: RED, 90: BLUE}, "matte": RED}, "one matte cannot be used for several pictures"),
    ({"views": {0: RED}, "mesh": BLOCK, "prompt": "a red chair"}, "refined from its own views"),
], ids=str)
def test_requests_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Request.load(**options)


def test_packs_without_an_encoder_of_views_refuse(tmp_path):
    with Pipeline.open(build_instantmesh(tmp_path / "tiny"), threads=1) as pipe, \
            pytest.raises(InputError, match="pack tiny takes only one picture: it has no encoder for known views; received 2 pictures"):
        pipe.stream(views={0: RED, 90: BLUE})


def test_packs_whose_coarse_latents_are_not_those_they_draw_refuse(both, tmp_path):
    """By the refiner alone: the other route has no coarse views."""
    folder = build_both(tmp_path / "tiny")
    edit(folder, refiner__coarse_latents="raw")
    with Pipeline.open(folder, threads=1) as pipe:
        with pytest.raises(InputError, match="does not encode views as the latents that it generates"):
            pipe.stream(views={0: RED, 90: BLUE}, route="coarse")
        pipe.stream(views={0: RED, 90: BLUE}, route="views").close()


def test_tiles_of_a_grid():
    image = np.full((32, 32, 3), 0.25, np.float32)
    whole = known_grid({1: image}, SIX)
    assert whole.shape == (96, 64, 3) and (whole[:32, 32:] == 0.25).all() and (whole[32:] == 1).all() and (whole[:, :32] == 1).all()
    mask = known_mask({1: image, 4: image}, SIX, (1, 4, 12, 8))
    assert mask.shape == (1, 1, 12, 8) and mask.sum() == 32 and mask[0, 0, :4, 4:].all() and mask[0, 0, 8:, :4].all()


def test_known_latents_have_the_noise_of_their_step():
    rng = np.random.default_rng(0)
    latent, drawn, noise, previous = (rng.random((1, 4, 12, 8), np.float32) for _ in range(4))
    mask = known_mask({0: latent}, SIX, latent.shape)
    known = KnownViews(latent, mask)
    carry = known.with_known({"latent": drawn, "previous": previous}, np.array([0.5, 2.0]), noise)
    np.testing.assert_allclose(carry["latent"][..., :4, :4], (0.5 * latent + 2 * noise)[..., :4, :4], rtol=1e-6)
    np.testing.assert_array_equal(carry["latent"][..., 4:, :], drawn[..., 4:, :])
    np.testing.assert_array_equal(carry["previous"][..., :4, :4], latent[..., :4, :4])
    np.testing.assert_array_equal(carry["previous"][..., 4:], previous[..., 4:])
    np.testing.assert_array_equal(known.finish(drawn)[..., :4, :4], latent[..., :4, :4])


def test_the_object_lies_over_the_coarse_one():
    guide = np.ones((32, 32, 3), np.float32)
    guide[4:20, 8:14] = 0.2
    view = fit_to_view(cut((0, 0, 0), 60), SIX, guide)
    dark = view.mean(axis=-1) < 0.5
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    assert abs(rows[0] - 4) <= 1 and abs(rows[-1] - 19) <= 1 and abs((columns[0] + columns[-1]) / 2 - 10.5) <= 1
    plain = fit_to_view(cut((0, 0, 0), 60), SIX)
    assert 20 <= np.flatnonzero((plain.mean(axis=-1) < 0.5).any(axis=1)).size <= 23


@pytest.mark.parametrize("route", ["views", "coarse"])
def test_known_views_stay_and_the_others_follow(both, route):
    """Whatever the seed; and what is known of one view changes the others."""
    options = {**FAST, "route": route}
    alone = both.generate(image=RED, **options, steps=8)
    known = both.generate(views={0: RED, 90: BLUE}, **options)
    other = both.generate(views={0: RED, 90: GREEN}, **options)
    again = both.generate(image=RED, views={90: BLUE}, **options | {"seed": 9})
    assert known.extras["options"]["steps"] == 8 and alone.extras["options"]["steps"] == 8
    blue = known.stages.views[1]
    assert blue[16, 16, 2] > blue[16, 16, 0] + 0.2 and (blue[0, 0] == 1).all()
    assert not np.array_equal(alone.stages.views[1], blue)
    if route == "views":  # on the other one the coarse shape, and with it the place of the object, depends on the seed
        np.testing.assert_array_equal(again.stages.views[1], blue)
    assert not np.array_equal(known.stages.views[0], other.stages.views[0])
    assert [each["azimuth"] for each in known.extras["views"]] == [90.0] and known.extras["views"][0]["sha256"] == BLUE.sha256


def test_progress_and_files_of_several_pictures(both, tmp_path):
    events = list(both.stream(views={0: RED, 90: BLUE, 270: GREEN}, steps=2, **FAST))
    assert [e for e in events if isinstance(e, Step)] == [Step("views", 1, 2), Step("views", 2, 2)]
    assert events[-1].generation.notices == ("the picture at 90 degrees is used as the view at 90 degrees, 10 below the horizon",
                                             "the picture at 270 degrees is used as the view at 270 degrees, 20 above the horizon")
    files = {path.name for path in events[-1].generation.encode_stages(tmp_path)}
    assert {"crop.png", "crop_90.png", "crop_270.png", "matte.png", "matte_90.png", "matte_270.png"} <= files


@pytest.mark.parametrize("kind", ["views_step", "refiner_step"])
def test_steps_around_known_views_that_are_none_are_the_loop_of_one_scan(both, kind):
    """Other latents come out as soon as anything is kept."""
    pack = both.pack
    loop = {"views_step": pack.manifest.multiview, "refiner_step": pack.manifest.refiner}[kind]
    component, latent = pack.component(kind), np.full(loop.latent_shape, 0.5, np.float32)
    shapes = {each.name: [side if isinstance(side, int) else 4 for side in each.shape] for each in component.spec.inputs}
    constants = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if name not in {"latent", "previous", "row", "noise"}}

    def drawn(known):
        return drained(denoise(both.models, kind, loop.latent_shape, LoopSettings(3, 2.0, loop.schedule, None), stage="views", stream="a",
                               seed=0, constants=constants, known=known))

    nothing = known_mask({}, SIX, loop.latent_shape)
    plain, none = drawn(None), drawn(KnownViews(latent, nothing))
    some = drawn(KnownViews(latent, known_mask({0: latent}, SIX, loop.latent_shape)))
    np.testing.assert_allclose(none, plain, rtol=1e-6, atol=1e-6)
    assert (some[..., :4, :4] == 0.5).all() and np.abs(plain[..., :4, :4] - 0.5).max() > 0.01


def test_the_first_step_takes_known_views_at_the_loops_noise(both):
    loop = both.pack.manifest.multiview
    table, noise = make_table(dict(loop.schedule), 3, 2.0), normal(0, "a", loop.latent_shape)
    known = KnownViews(np.zeros(loop.latent_shape, np.float32), np.ones((1, 1, *loop.latent_shape[2:]), bool))
    first = known.with_known({"latent": noise, "previous": noise}, table.levels[0], noise)["latent"]
    np.testing.assert_allclose(first, table.initial_scale * noise, rtol=1e-6)


def test_noise_of_the_encoder_is_seeded(tmp_path):
    """In packs that sample the posterior of their views."""
    with Pipeline.open(build_steered(tmp_path / "tiny"), threads=1) as pipe:
        first, second = (pipe.generate(views={0: RED, 90: BLUE}, **FAST) for _ in range(2))
    np.testing.assert_array_equal(first.stages.views, second.stages.views)


@pytest.mark.parametrize(("views", "message"), [
    ({0: EMPTY, 90: RED}, "^first picture: the picture has no foreground; .*; give a picture with alpha$"),
    ({10: RED, 100: EMPTY}, "^at 90 degrees: the picture has no foreground"),
])
def test_of_several_pictures_the_one_without_an_object_is_named(both, views, message):
    with pytest.raises(InputError, match=message):
        both.generate(views=views, **FAST)


@pytest.mark.parametrize("route", ["views", "coarse"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_that_is_taken_as_it_is_is_a_view(both, route, channels):
    """Background and all, wherever a coarse shape lies."""
    tile = Picture.of(np.full((16, 16, 4), (128, 128, 128, 255), np.uint8)[..., :channels].copy())
    made = both.generate(views={0: RED, 90: tile}, matte="none", route=route, **FAST)
    np.testing.assert_allclose(made.stages.views[1], 128 / 255, atol=1e-6)

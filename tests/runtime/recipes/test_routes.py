"""The ways from a prompt, a picture or a mesh through one pack that has them all, and what is refused."""

import numpy as np
import pytest

from meshwright.runtime import CoarseMesh, CoarseViews, Cutout, InputError, Picture, Pipeline, StageDone, Surface, Views
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.images import Matting, crop_object
from meshwright.runtime.images.pictures import preprocess
from meshwright.runtime.recipes import sharp_it
from meshwright.runtime.recipes.routes import choose_route
from meshwright.runtime.request import Request
from tests.runtime.recipes.test_steered import drained
from tests.runtime.tiny_pack import build
from tests.runtime.tiny_pictures import build_both, build_instantmesh, build_steered

FAST = {"texture": 64, "faces": 500, "seed": 3}
LAST = ("reconstruction", "surface", "texture")
STAGES = {
    "text": ("text", "coarse shape", "coarse mesh", "coarse views", "refined views", *LAST),
    "coarse": ("picture", "text", "coarse shape", "coarse mesh", "coarse views", "refined views", *LAST),
    "views": ("picture", "views", *LAST), "refine": ("text", "coarse views", "refined views", *LAST)}


def cut(color, side=40):
    """A picture of a disc on clear ground."""
    away = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2))
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[away < side / 3] = (*color, 255)
    return Picture.of(pixels)


RED, BLUE = cut((200, 30, 30)), cut((10, 20, 90))
BLOCK = Mesh(np.array([[0, 0, 0], [0.8, 0, 0], [0, 0.8, 0], [0, 0, 0.8]], np.float32),
             np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32), colors=np.full((4, 3), 90, np.uint8))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A pipeline on the tiny pack for prompts and pictures."""
    with Pipeline.open(build_both(tmp_path_factory.mktemp("packs") / "both"), threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def manifests(both, tmp_path_factory):
    """Of one pack of each kind."""
    from meshwright.runtime import Pack

    folder = tmp_path_factory.mktemp("packs")
    built = {"text": build(folder / "text"), "steered": build_steered(folder / "steered"),
             "pictures": build_instantmesh(folder / "pictures")}
    return {name: Pack.open(path).manifest for name, path in built.items()} | {"both": both.pack.manifest}


@pytest.mark.parametrize(("pack", "request_", "route"), [
    ("both", {"prompt": "a red chair"}, "text"),
    ("both", {"image": RED}, "views"),
    ("both", {"image": RED, "route": "coarse"}, "coarse"),
    ("both", {"image": RED, "route": "views"}, "views"),
    ("both", {"image": RED, "prompt": "a red chair"}, "coarse"),
    ("both", {"image": RED, "prompt": "a red chair", "route": "coarse"}, "coarse"),
    ("both", {"mesh": BLOCK, "prompt": "a red chair"}, "refine"),
    ("text", {"mesh": BLOCK, "prompt": "a red chair"}, "refine"),
    ("steered", {"mesh": BLOCK, "prompt": "a red chair"}, "refine"),
    ("text", {"prompt": "a red chair"}, "text"),
    ("steered", {"image": RED}, "coarse"),
    ("pictures", {"image": RED}, "views"),
], ids=str)
def test_which_way(manifests, pack, request_, route):
    assert choose_route(Request.load(**request_), manifests[pack]) == route


@pytest.mark.parametrize(("pack", "request_", "message"), [
    ("both", {"image": RED, "prompt": "a red chair", "route": "views"}, "the route views takes no prompt: .*leave --route out"),
    ("both", {"image": RED, "prior_steps": 2}, "the route views of pack tiny does not generate a coarse shape"),
    ("both", {"mesh": BLOCK, "prompt": "a red chair", "prior_guidance": 2.0}, "the route refine of pack tiny does not generate a coarse"),
    ("both", {"image": RED, "control": RED}, "has no ControlNet"),
    ("pictures", {"image": RED, "route": "coarse"}, "pack tiny has no such route; received coarse; expected views"),
    ("pictures", {"mesh": BLOCK, "prompt": "a red chair"}, "pack tiny does not refine meshes; received a mesh; expected a picture"),
    ("steered", {"image": RED, "route": "views"}, "has no such route; received views; expected coarse"),
    ("steered", {"prompt": "a red chair"}, "makes meshes from pictures"),
    ("text", {"image": RED}, "makes meshes from prompts"),
    ("pictures", {"image": RED, "prompt": "a red chair"}, "takes no prompts"),
], ids=str)
def test_no_way(manifests, pack, request_, message):
    with pytest.raises(InputError, match=message):
        choose_route(Request.load(**request_), manifests[pack])


@pytest.mark.parametrize(("route", "options", "early"), [
    ("text", {"prompt": "a red chair"}, [CoarseMesh, CoarseViews, Views, Surface]),
    ("coarse", {"prompt": "a red chair", "image": RED}, [Cutout, CoarseMesh, CoarseViews, Views, Surface]),
    ("views", {"image": RED}, [Cutout, Views, Surface]),
    ("refine", {"prompt": "a red chair", "mesh": BLOCK}, [CoarseMesh, CoarseViews, Views, Surface]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_each_way_to_a_mesh(both, route, options, early):
    request = Request.load(**options, **FAST)
    events = list(both.stream(request))
    assert tuple(e.stage for e in events if isinstance(e, StageDone)) == both.stages_of(request) == STAGES[route]
    assert [type(e) for e in events if isinstance(e, Cutout | CoarseMesh | CoarseViews | Views | Surface)] == early
    made = events[-1].generation
    assert made.extras["route"] == route and 4 <= len(made.mesh.faces) <= 500
    assert ("prior_steps" in made.extras["options"]) == (route in ("text", "coarse"))
    assert made.extras["options"]["steps"] == 3


def test_the_coarse_way_is_the_picture_for_the_shape_and_the_prompt_for_the_look(both):
    options = {"image": RED, "route": "coarse", "prior_guidance": 0.3, **FAST}
    plain, words = both.generate(**options), both.generate("a blue table", **options)
    other = both.generate(**options | {"image": BLUE})
    np.testing.assert_array_equal(words.stages.coarse_mesh.vertices, plain.stages.coarse_mesh.vertices)
    assert not np.array_equal(words.stages.views, plain.stages.views)
    assert not np.array_equal(other.stages.coarse_mesh.vertices, plain.stages.coarse_mesh.vertices)


def test_the_prior_knows_the_empty_prompt_for_pictures_too(both):
    """Where the pack says so, and the prompts' states for prompts."""
    models = both.models
    prior, refiner = drained(sharp_it.encode_conditions(models, RED, "a red chair"))
    empty = models.embeddings("text_encoder", models.tokenizer("text_encoder").encode(""))
    np.testing.assert_array_equal(prior[:1], empty)
    np.testing.assert_array_equal(prior[1:], models.run("prior_image_encoder", image=preprocess(
        RED, 1.0, both.pack.manifest.picture.encoder))["states"])
    assert drained(sharp_it.encode_text(models, "a red chair"))[0].shape == prior.shape == refiner.shape


def test_what_was_cut_out_is_kept(both, tmp_path):
    made = both.generate(image=RED, **FAST)
    (cutout,) = made.stages.cutouts
    assert (cutout.azimuth, cutout.source) == (0.0, "alpha")
    np.testing.assert_array_equal(cutout.matte, RED.pixels[..., 3])
    np.testing.assert_array_equal(cutout.crop, crop_object(Matting().foreground(RED)).pixels)
    files = made.encode_stages(tmp_path)
    assert {"matte.png", "crop.png"} <= {path.name for path in files}
    assert all(files[tmp_path / name][:4] == b"\x89PNG" for name in ("matte.png", "crop.png"))


def test_the_matte_is_a_choice(both):
    whole = both.generate(image=RED, matte="none", **FAST)
    given = both.generate(image=RED, matte=Picture.of(np.tile(np.uint8(255), (40, 40, 3))), **FAST)
    assert [made.stages.cutouts[0].source for made in (whole, given)] == ["none", "file"]
    assert whole.extras["matte"] == "none" and given.extras["matte"]["width"] == 40
    assert given.stages.cutouts[0].matte.all() and not whole.stages.cutouts[0].matte.all()


def test_a_picture_without_an_object_ends_the_run(both):
    with pytest.raises(InputError, match="no foreground"):
        both.generate(image=Picture.of(np.full((40, 40, 3), 7, np.uint8)), **FAST)
    assert both.generate(image=RED, **FAST).mesh is not None

"""Whose word counts for a loop: the request's, else that of its quality, else the pack's."""

import pytest

from meshwright.engines.errors import InputError, PackFormat
from meshwright.runtime import Pack, Pipeline, Request, Step
from meshwright.runtime.recipes.settings import coarse_settings, drawing_settings, quality_of, texture_size
from tests.runtime.pack.test_manifest import edit
from tests.runtime.tiny_pack import GRAPHS, REFINER, SHARP_IT, STEP, build, write

FAST = {"texture": 64, "faces": 200}
QUALITY = {"draft": {"views": {"steps": 2, "sampler": "dpm-solver++-2m", "guidance_interval": [0.5, 4.0]},
                     "prior": {"steps": 3, "sampler": "dpm-solver++-2m"}, "texture": 128},
           "standard": {"prior": {"guidance_interval": [0, 9]}}}


@pytest.fixture
def folder(tmp_path):
    made = build(tmp_path / "tiny")
    edit(made, quality=QUALITY)
    return made


@pytest.fixture
def pack(folder):
    return Pack.open(folder).manifest


def views_of(pack, **options):
    found = drawing_settings(Request("a red chair", **options), pack, pack.refiner)
    return found.steps, found.guidance, found.sampler, found.interval


def coarse_of(pack, **options):
    found = coarse_settings(Request("a red chair", **options), pack)
    return found.steps, found.guidance, found.sampler, found.interval


def test_without_a_quality_the_pack_counts(pack):
    for options in ({}, {"quality": "full"}):
        assert views_of(pack, **options) == (3, 2.0, "ddim", None) and coarse_of(pack, **options) == (4, 2.0, "ddim", None)
        assert texture_size(Request("a chair", **options), pack) == 1024


def test_a_quality_says_what_the_request_does_not(pack):
    assert views_of(pack, quality="draft") == (2, 2.0, "dpm-solver++-2m", (0.5, 4.0))
    assert coarse_of(pack, quality="draft") == (3, 2.0, "dpm-solver++-2m", None)
    assert views_of(pack, quality="standard") == (3, 2.0, "ddim", None)
    assert coarse_of(pack, quality="standard") == (4, 2.0, "ddim", (0.0, 9.0))
    assert texture_size(Request("a chair", quality="draft"), pack) == 128
    asked = {"quality": "draft", "steps": 5, "guidance": 3, "sampler": "ddim", "guidance_interval": [0, 1], "prior_steps": 6,
             "prior_guidance_interval": (1, 2), "texture": 64}
    assert views_of(pack, **asked) == (5, 3.0, "ddim", (0.0, 1.0))
    assert coarse_of(pack, **asked) == (6, 2.0, "dpm-solver++-2m", (1.0, 2.0))
    assert texture_size(Request("a chair", **asked), pack) == 64


def test_align_your_steps_is_ten_of_them_unless_asked_otherwise(pack):
    assert views_of(pack, sampler="align-your-steps") == (10, 2.0, "align-your-steps", None)
    assert coarse_of(pack, prior_sampler="align-your-steps") == (10, 2.0, "align-your-steps", None)


def test_a_run_tells_what_it_used(folder):
    with Pipeline.open(folder, threads=1, trust=True) as pipe:
        options = pipe.generate("a red chair", quality="draft", faces=200).extras["options"]
        assert options == {"steps": 2, "guidance": 2.0, "sampler": "dpm-solver++-2m", "guidance_interval": [0.5, 4.0], "prior_steps": 3,
                           "prior_guidance": 2.0, "prior_sampler": "dpm-solver++-2m", "faces": 200, "texture": 128, "texture_from": "views"}
        with pytest.raises(InputError, match="no schedule with these settings; received align-your-steps is 10 steps of 1000, not 4"):
            pipe.stream("a red chair", sampler="align-your-steps", steps=4)
        with pytest.raises(InputError, match="coarse shape has no schedule with these settings"):
            pipe.stream("a red chair", prior_sampler="align-your-steps", prior_steps=4)


def test_a_pack_without_that_quality_says_what_it_has(pack, tmp_path):
    bare = Pack.open(build(tmp_path / "bare")).manifest
    with pytest.raises(InputError, match="no such quality; received draft; expected full; export the pack again, or give --steps"):
        quality_of(Request("a chair", quality="draft"), bare)
    assert bare.quality == {} and set(pack.quality) == {"draft", "standard"}


@pytest.mark.parametrize("options, message", [
    ({"quality": "best"}, "the quality is unknown; received 'best'; expected draft, standard, full"),
    ({"sampler": "euler"}, "the sampler is unknown; received 'euler'; expected euler-ancestral, ddim"),
    ({"prior_sampler": 3}, "prior_sampler is unknown; received 3"),
    ({"guidance_interval": (2, 1)}, r"guidance_interval is not an interval; received \(2, 1\); expected two numbers, the lower one first"),
    ({"prior_guidance_interval": "1:2"}, "prior_guidance_interval is not an interval"),
    ({"guidance_interval": (-1, 1)}, "guidance_interval is out of range; received -1"),
])
def test_what_is_none_of_these_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Request("a red chair", **options)


@pytest.mark.parametrize("quality, message", [
    ({"draft": {"steps": 3}}, "quality: draft has an unknown entry; received steps; expected views, prior, texture"),
    ({"draft": {"views": {"steps": 0}}}, "steps is out of range"),
    ({"draft": {"views": {"sampler": "euler"}}}, "sampler has an unknown value; received euler"),
    ({"draft": {"prior": {"guidance_interval": [1]}}}, "guidance_interval is not an interval"),
    ({"draft": {"texture": 100}}, "texture is out of range; received 100"),
    ({"draft": 3}, "draft has the wrong type"),
])
def test_a_pack_that_says_it_wrongly_is_refused(folder, quality, message):
    edit(folder, quality=quality)
    with pytest.raises(PackFormat, match=message):
        Pack.open(folder)


DEEP = (REFINER.replace("float[1,4,12,8] previous_next) {", "float[1,4,12,8] previous_next, float[1,4,12,8] deep) {")
        .replace("predicted = Add(coarse, little)", "predicted = Add(coarse, little)\n    deep = Identity(predicted)"))
SHALLOW = (STEP.replace("SHAPE", "1,4,12,8").replace("EXTRA", ", float[1,4,12,8] coarse, float[1,4,12,8] deep")
           .replace("PREDICTION", """none = Sub(coarse, coarse)
    some = Add(ripple, guided)
    nothing = Mul(none, some)
    predicted = Add(deep, nothing)"""))


def test_deep_features_are_reused_where_the_pack_has_them(tmp_path):
    made = write(tmp_path / "deep", {**GRAPHS, "refiner_step": DEEP, "refiner_shallow_step": SHALLOW}, SHARP_IT)
    with Pipeline.open(made, threads=1, trust=True) as pipe:
        plain = pipe.generate("a red chair", steps=5, **FAST)
        events = list(pipe.stream("a red chair", steps=5, deep_cache=2, **FAST))
        assert [e.index for e in events if isinstance(e, Step) and e.stage == "refined views"] == [1, 2, 3, 4, 5]
        reused = events[-1].generation
        assert reused.extras["options"]["deep_cache"] == 2 and "deep_cache" not in plain.extras["options"]
        assert 1e-5 < abs(reused.stages.views - plain.stages.views).max() < 0.1
        same = pipe.generate("a red chair", steps=5, deep_cache=1, **FAST)
        assert (same.stages.views == plain.stages.views).all()


@pytest.mark.parametrize("options, message", [
    ({"deep_cache": 3}, "pack tiny has no deep features of refiner_step; received deep_cache 3; expected 1; export it with --deep-cache"),
    ({"deep_cache": 0}, "deep_cache is out of range; received 0; expected an integer, 1 to 100"),
])
def test_a_pack_without_deep_features_says_so(folder, options, message):
    with Pipeline.open(folder, threads=1, trust=True) as pipe, pytest.raises(InputError, match=message):
        pipe.stream("a red chair", **options)

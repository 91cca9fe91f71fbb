"""The whole path on the tiny pack: events in order, determinism, cancelling, options."""

import json
import struct
import threading

import numpy as np
import pytest

from meshwright.runtime import (
    Cancelled,
    CoarseMesh,
    CoarseViews,
    EmptyShape,
    InputError,
    Notice,
    Pipeline,
    Request,
    Result,
    StageDone,
    StageStarted,
    Step,
    Surface,
    Views,
)
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.recipes.sharp_it import STAGES

FAST = {"texture": 64, "faces": 500}


@pytest.fixture(scope="module")
def events(pipe):
    return list(pipe.stream("a red chair", seed=3, **FAST))


@pytest.fixture(scope="module")
def made(events):
    return events[-1].generation


def test_stages_come_in_order(events):
    assert tuple(e.stage for e in events if isinstance(e, StageStarted)) == STAGES
    assert tuple(e.stage for e in events if isinstance(e, StageDone)) == STAGES
    kinds = [type(e) for e in events if isinstance(e, CoarseMesh | CoarseViews | Views | Surface | Result)]
    assert kinds == [CoarseMesh, CoarseViews, Views, Surface, Result]


def test_loops_tell_each_step(events):
    steps = [e for e in events if isinstance(e, Step)]
    assert steps == ([Step("coarse shape", i, 4) for i in (1, 2, 3, 4)]
                     + [Step("refined views", i, 3) for i in (1, 2, 3)])


def test_early_results(made):
    stages = made.stages
    assert stages.coarse_mesh.colors.dtype == np.uint8
    radii = np.linalg.norm(stages.coarse_mesh.vertices, axis=1)
    assert np.ptp(radii) < 0.02 and abs(radii.mean() - 0.6) < 0.03
    for images in (stages.coarse_views, stages.views):
        assert images.shape == (6, 32, 32, 3) and 0 <= images.min() and images.max() <= 1
    assert np.abs(stages.views - stages.coarse_views).mean() < 0.15


def test_the_mesh_is_the_field_unmirrored(made):
    """Its field is an ellipsoid with a bump at (0.5, 0.1, 0.2): front, left, up."""
    low, high = made.mesh.bounds
    assert abs(high[0] - 0.75) < 0.03 and abs(low[0] + 0.38) < 0.03
    ahead = made.mesh.vertices[made.mesh.vertices[:, 0] > 0.55].mean(axis=0)
    assert ahead[1] > 0.05 and ahead[2] > 0.12
    assert is_watertight(made.mesh) and made.mesh.signed_volume > 0


def test_the_mesh_is_light_and_textured(made):
    assert 4 <= len(made.mesh.faces) <= 500
    assert made.mesh.texture.shape == (64, 64, 3) and made.mesh.uvs is not None and made.mesh.normals is not None


def test_timings_add_up(made):
    assert list(made.timings) == [*STAGES, "loading", "total"]
    assert 0.5 * made.timings["total"] < sum(made.timings[name] for name in STAGES) <= made.timings["total"]


def glb_without_timings(path):
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20:20 + length])
    timings = document["asset"]["extras"].pop("timings")
    return document, data[20 + length:], timings


def test_same_seed_same_bytes(pipe, tiny, made, tmp_path):
    with Pipeline.open(tiny, threads=1) as other:
        again = other.generate("a red chair", seed=3, **FAST)
    (tmp_path / "again").mkdir()
    one, two = made.save(tmp_path / "chair.glb")[0], again.save(tmp_path / "again" / "chair.glb")[0]
    first, second = glb_without_timings(one), glb_without_timings(two)
    assert first[:2] == second[:2]
    assert first[2].keys() == second[2].keys() == made.timings.keys()
    np.testing.assert_array_equal(made.stages.views, again.stages.views)


def test_the_pack_has_the_defaults(pipe):
    """What a pack leaves open is 10,000 triangles and 1,024 pixels; the provenance says what was used."""
    made = pipe.generate("a red chair")
    assert made.mesh.texture.shape == (1024, 1024, 3)
    assert made.extras["options"] == {"steps": 3, "guidance": 2.0, "prior_steps": 4, "prior_guidance": 2.0,
                                      "faces": 10_000, "texture": 1024, "texture_from": "views"}


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 5}, {"guidance": 7.5}, {"prior_steps": 2},
                                    {"prior_guidance": 9.0}], ids=str)
def test_options_change_the_views(pipe, made, change):
    other = pipe.generate("a red chair", **({"seed": 3} | FAST | change))
    assert not np.array_equal(other.stages.views, made.stages.views)


def test_the_prompt_changes_the_views(pipe, made):
    assert not np.array_equal(pipe.generate("a blue table", seed=3, **FAST).stages.views, made.stages.views)


@pytest.mark.parametrize("source", ["views", "field", "blend"])
def test_texture_sources(pipe, source):
    made = pipe.generate("a red chair", texture_from=source, **FAST)
    assert made.extras["options"]["texture_from"] == source
    assert made.mesh.texture.std() > 5


def test_provenance_is_in_the_file(made, pipe, tmp_path):
    extras = json.loads(json.dumps(glb_without_timings(made.save(tmp_path / "chair.glb")[0])[0]["asset"]["extras"]))
    assert extras["seed"] == 3 and extras["prompt"] == "a red chair"
    assert extras["pack"] == {"name": "tiny", "version": "1", "sha256": pipe.pack.hash}
    assert extras["license"] == {"id": "Apache-2.0", "commercial_use": "yes", "notes": ["made by hand"]}
    assert extras["sources"] == [{"name": "tests", "license": "Apache-2.0", "commercial_use": "yes"}]
    assert "memory" not in extras and "image" not in extras
    assert extras["precision"] == ["fp32"] and extras["backend"] == "onnxruntime"
    assert extras["options"]["steps"] == 3 and extras["options"]["guidance"] == 2.0


def test_notices_are_told_once(pipe):
    events = list(pipe.stream("a red zebra", **FAST))
    assert [e.message for e in events if isinstance(e, Notice)] == ["words unknown to the text encoder: 'zebra'"]
    assert events[-1].generation.notices == ("words unknown to the text encoder: 'zebra'",)


@pytest.mark.parametrize("kind", [StageStarted, Step, StageDone, CoarseMesh, CoarseViews, Views, Surface])
def test_closing_a_stream_ends_the_run(pipe, kind):
    stream = pipe.stream("a red chair", **FAST)
    assert isinstance(next(e for e in stream if isinstance(e, kind)), kind)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "meshwright-steps"]
    assert pipe.generate("a red chair", **FAST).mesh is not None


def test_a_callback_cancels_between_steps(pipe):
    seen = []

    def stop(event):
        seen.append(event)
        if event == Step("refined views", 2, 3):
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        pipe.generate("a red chair", on_event=stop, **FAST)
    assert seen[-1] == Step("refined views", 2, 3)


def test_two_runs_at_once_are_refused(pipe):
    stream = pipe.stream("a red chair", **FAST)
    next(stream)
    with pytest.raises(InputError, match="busy"):
        pipe.generate("a red chair", **FAST)
    stream.close()


def test_a_request_may_be_given_whole(pipe, made):
    request = Request("a red chair", seed=3, **FAST)
    np.testing.assert_array_equal(pipe.generate(request).stages.views, made.stages.views)
    assert pipe.generate(request, seed=5).extras["seed"] == 5


def test_options_are_checked_before_the_work(pipe):
    with pytest.raises(InputError, match="faces"):
        pipe.stream("a red chair", faces=3)
    with pytest.raises(InputError, match="unknown option; received colour; expected seed"):
        pipe.stream("a red chair", colour="red")


def test_engines_are_opened_when_needed_and_kept(tiny):
    pipe = Pipeline.open(tiny, threads=1)
    assert pipe.models.loading == 0
    pipe.prewarm(["text_encoder"])
    engine = pipe.models.engine("text_encoder")
    pipe.prewarm()
    assert pipe.models.engine("text_encoder") is engine
    assert pipe.generate("a red chair", **FAST).timings["loading"] == 0
    pipe.close()
    assert pipe.generate("a red chair", **FAST).timings["loading"] > 0
    pipe.close()


def test_the_null_backend_has_no_surface(tiny):
    with Pipeline.open(tiny, backend="null") as pipe, pytest.raises(EmptyShape, match="no surface"):
        pipe.generate("a red chair")


@pytest.mark.parametrize("options", [{"backend": "abacus"}, {"threads": 0}, {"threads": -2}])
def test_engine_options_are_checked(tiny, options):
    with pytest.raises(InputError):
        Pipeline.open(tiny, **options)

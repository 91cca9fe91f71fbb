"""Published scheduler files become the tables of their samplers; the numbers are those of the reference."""

import json

import numpy as np
import pytest

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.schedules import sampling, shap_e_sampling
from meshwright.runtime.diffusion.schedules import make_table


@pytest.fixture
def scheduler(tmp_path):
    def folder(kind, **config):
        (tmp_path / "scheduler_config.json").write_text(json.dumps({"_class_name": kind, **config}))
        return tmp_path
    return folder


def test_zero123plus_with_trailing_timesteps(published):
    found = sampling(published("zero123plus-v1.2") / "scheduler", "trailing")
    assert found.clamp is None and found.schedule == {
        "kind": "euler-ancestral", "betas": "linear", "beta_start": 0.00085, "beta_end": 0.012, "train_steps": 1000, "prediction": "v",
        "spacing": "trailing"}
    table = make_table(found.schedule, 75, 4.0)
    times = table.rows[:, 0]
    assert times[:3].tolist() == [999, 986, 972] and times[-3:].tolist() == [39, 26, 12] and len(times) == 75
    assert table.initial_scale == pytest.approx(25.1461, abs=5e-5)


def test_the_spacing_of_the_file_unless_told(published):
    assert sampling(published("zero123plus-v1.1") / "scheduler").schedule["spacing"] == "linspace"


def test_shap_e_in_the_form_of_its_own_code(published):
    found = shap_e_sampling(published("shap-e") / "scheduler", "original")
    assert found.clamp == ("before", -1.0, 1.0) and found.schedule == {
        "kind": "heun-karras", "betas": "exp", "train_steps": 1024, "prediction": "sample", "form": "original", "sigma_max": 160.0,
        "sigma_min": 0.001}
    table = make_table(found.schedule, 64, 15.0)
    assert len(table.rows) == 127 and table.initial_scale == pytest.approx(160.0)
    assert (table.rows[:, 0] == np.trunc(table.rows[:, 0])).all() and table.rows[-1, 0] == 0


def test_shap_e_in_the_form_of_diffusers(published):
    found = shap_e_sampling(published("shap-e-img2img") / "scheduler", "diffusers")
    assert found.clamp == ("after", -1.0, 1.0) and found.schedule["form"] == "diffusers"
    table = make_table(found.schedule, 64, 3.0)
    assert len(table.rows) == 127 and table.initial_scale == pytest.approx(403.42, abs=5e-3)


def test_the_trailing_comma_of_shap_e_is_told(published):
    for form in ("original", "diffusers"):
        assert "a comma before a closing bracket" in shap_e_sampling(published("shap-e") / "scheduler", form).notices[0]


def test_ddim_and_its_defaults(scheduler):
    found = sampling(scheduler("DDIMScheduler", beta_schedule="scaled_linear", steps_offset=1, set_alpha_to_one=False))
    assert found.clamp == ("after", -1.0, 1.0) and found.schedule == {
        "kind": "ddim", "betas": "scaled-linear", "beta_start": 0.0001, "beta_end": 0.02, "train_steps": 1000, "prediction": "epsilon",
        "spacing": "leading", "steps_offset": 1, "set_alpha_to_one": False}


def test_dpm_solver(scheduler):
    folder = scheduler("DPMSolverMultistepScheduler", beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    found = sampling(folder, "trailing")
    assert found.clamp is None and found.schedule == {
        "kind": "dpm-solver++-2m", "betas": "cosine", "train_steps": 1000, "prediction": "v", "spacing": "trailing"}


@pytest.mark.parametrize("kind, change, words", [
    ("PNDMScheduler", {}, "an unknown sampler; received PNDMScheduler; expected EulerAncestral"),
    ("DPMSolverMultistepScheduler", {"solver_order": 3}, "received solver_order 3; expected solver_order 2"),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "received algorithm_type 'sde-dpmsolver"),
    ("HeunDiscreteScheduler", {}, "received use_karras_sigmas False; expected use_karras_sigmas True"),
    ("EulerAncestralDiscreteScheduler", {"rescale_betas_zero_snr": True}, "received rescale_betas_zero_snr True"),
    ("EulerAncestralDiscreteScheduler", {"trained_betas": [0.1]}, "expected trained_betas None"),
    ("DDIMScheduler", {"beta_schedule": "sigmoid"}, "beta_schedule is not known here; received 'sigmoid'"),
    ("DDIMScheduler", {"prediction_type": "flow"}, "prediction_type is not known here; received 'flow'"),
    ("DDIMScheduler", {"beta_start": "small"}, "describes no sampler; received beta_start 'small'"),
    ("DDIMScheduler", {"beta_start": 0.5}, "describes no sampler; received betas from 0.5 to 0.02"),
    ("DDIMScheduler", {"num_train_timesteps": 1000.5}, "describes no sampler; received train_steps 1000.5"),
    ("DDIMScheduler", {"steps_offset": None}, "describes no sampler; received steps_offset None"),
    ("DDIMScheduler", {"timestep_spacing": "random"}, "describes no sampler; received spacing 'random'"),
    ("DDIMScheduler", {"set_alpha_to_one": "yes"}, "describes no sampler; received set_alpha_to_one 'yes'"),
    ("DDIMScheduler", {"beta_schedule": ["linear"]}, "beta_schedule is not known here; received ..linear"),
    (["DDIMScheduler"], {}, "an unknown sampler; received ..DDIMScheduler"),
    ("DDIMScheduler", {"clip_sample_range": "wide"}, "clip_sample_range is not a positive number; received 'wide'")])
def test_what_no_table_expresses(scheduler, kind, change, words):
    folder = scheduler(kind, **change)
    with pytest.raises(CheckpointError, match=f"scheduler_config.json.*{words}"):
        sampling(folder)


def test_another_sampler_in_place_of_shap_es(published):
    with pytest.raises(CheckpointError, match="is not the sampler of Shap-E; received euler-ancestral"):
        shap_e_sampling(published("zero123plus-v1.2") / "scheduler", "original")
    with pytest.raises(CheckpointError, match="form of Shap-E's sampler is unknown; received fast; expected original or diffusers"):
        shap_e_sampling(published("shap-e") / "scheduler", "fast")

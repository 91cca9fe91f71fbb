"""Every table against the sampler it is named after, over whole trajectories."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
)
from diffusers.schedulers import AysSchedules
from diffusers.schedulers import scheduling_euler_ancestral_discrete as euler_module

from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.schedules import COLUMNS, SAMPLER_NAMES, make_table, with_sampler

# diffusers hands torch tensors to numpy.array, which numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GUIDANCE = 3.0
SHAPE = (1, 4, 6, 5)
TOLERANCE = 1e-5
NAMES = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2", "exp": "exp"}
PREDICTION_TYPES = {"v": "v_prediction", "epsilon": "epsilon", "sample": "sample"}


def network(x, timestep):
    """A stand-in that depends on both its inputs, smoothly and not linearly: (uncond, cond), like x."""
    wave = np.sin(np.arange(x.size).reshape(x.shape) + timestep / 150).astype(x.dtype)
    return 0.6 * np.tanh(x) + 0.3 * wave, 0.5 * np.tanh(x + 0.2) - 0.4 * wave


def guided(x, timestep, w):
    uncond, cond = network(x, timestep)
    return uncond + x.dtype.type(w) * (cond - uncond)


def follow(table, draws, clamp=None, dtype=np.float32):
    """The latents after each row, by the arithmetic of a step model. clamp : (when, limit)."""
    x, previous, path = dtype(table.initial_scale) * draws[0].astype(dtype), np.zeros(SHAPE, dtype), []
    for row, noise in zip(table.rows.astype(dtype), draws[1:], strict=True):
        r = dict(zip(COLUMNS, row, strict=True))
        halves = [r["x0_from_x"] * x + r["x0_from_output"] * m for m in network(r["scale_in"] * x, r["timestep"])]
        if clamp and clamp[0] == "before":
            halves = [np.clip(h, -clamp[1], clamp[1]) for h in halves]
        x0 = halves[0] + r["w"] * (halves[1] - halves[0])
        if clamp and clamp[0] == "after":
            x0 = np.clip(x0, -clamp[1], clamp[1])
        x, previous = r["a"] * x + r["b"] * x0 + r["c"] * previous + r["k"] * noise.astype(dtype), x0
        path.append(x)
    return path


def reference(scheduler, steps, draws, monkeypatch, **step_options):
    """The latents after each call of a diffusers scheduler that gets the same noise."""
    scheduler.set_timesteps(steps)
    pending = iter(draws[1:])
    monkeypatch.setattr(euler_module, "randn_tensor", lambda *args, **kwargs: torch.from_numpy(next(pending)))
    x, path = torch.from_numpy(draws[0]) * scheduler.init_noise_sigma, []
    for i, t in enumerate(scheduler.timesteps):
        if step_options.get("eta"):
            step_options["variance_noise"] = torch.from_numpy(draws[1 + i])
        seen = scheduler.scale_model_input(x, t).numpy()
        x = scheduler.step(torch.from_numpy(guided(seen, float(t), GUIDANCE)), t, x, **step_options).prev_sample
        path.append(x.numpy())
    return path


def draw(rows):
    return normal(0, "schedules", (rows + 1, *SHAPE))


def assert_same_path(ours, theirs):
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        error = np.abs(a - b).max() / np.abs(b).max()
        assert error < TOLERANCE, f"relative error {error:.1e} at row {i}"


def process(betas):
    start, end = (1e-4, 0.02) if betas == "scaled-linear" else (0.00085, 0.012)
    ours = {"betas": betas, "beta_start": start, "beta_end": end, "train_steps": 1000}
    return ours, {"beta_schedule": NAMES[betas], "beta_start": start, "beta_end": end}


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
@pytest.mark.parametrize("spacing, steps", [("trailing", 75), ("trailing", 28), ("linspace", 20), ("leading", 30)])
def test_euler_ancestral(prediction, spacing, steps, monkeypatch):
    ours, theirs = process("linear")
    table = make_table({"kind": "euler-ancestral", **ours, "prediction": prediction, "spacing": spacing,
                        "steps_offset": 1}, steps, GUIDANCE)
    scheduler = EulerAncestralDiscreteScheduler(**theirs, prediction_type=PREDICTION_TYPES[prediction],
                                                timestep_spacing=spacing, steps_offset=1)
    draws = draw(steps)
    assert_same_path(follow(table, draws), reference(scheduler, steps, draws, monkeypatch))


def test_the_levels_of_zero123plus():
    # Computed from the published scheduler configuration, independently of both implementations.
    table = make_table({"kind": "euler-ancestral"}, 75, 4.0)
    times = table.rows[:, 0]
    assert times[:4].tolist() == [999, 986, 972, 959] and times[-3:].tolist() == [39, 26, 12]
    assert table.initial_scale == pytest.approx(25.1461, abs=1e-4)
    assert np.flatnonzero(table.rows[:, COLUMNS.index("k")] == 0).tolist() == [74]


@pytest.mark.parametrize("prediction", ["v", "epsilon", "sample"])
@pytest.mark.parametrize("betas", ["linear", "scaled-linear", "cosine"])
@pytest.mark.parametrize("spacing, steps", [("trailing", 16), ("trailing", 12), ("leading", 50), ("linspace", 10)])
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim(prediction, betas, spacing, steps, eta, monkeypatch):
    ours, theirs = process(betas)
    table = make_table({"kind": "ddim", **ours, "prediction": prediction, "spacing": spacing, "eta": eta,
                        "steps_offset": 1}, steps, GUIDANCE)
    scheduler = DDIMScheduler(**theirs, prediction_type=PREDICTION_TYPES[prediction], timestep_spacing=spacing,
                              clip_sample=False, steps_offset=1)
    draws = draw(steps)
    assert_same_path(follow(table, draws), reference(scheduler, steps, draws, monkeypatch, eta=eta))


def test_ddim_with_clamped_predictions(monkeypatch):
    ours, theirs = process("cosine")
    table = make_table({"kind": "ddim", **ours, "prediction": "v", "spacing": "trailing", "set_alpha_to_one": False},
                       25, GUIDANCE)
    scheduler = DDIMScheduler(**theirs, prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=True,
                              clip_sample_range=0.5, set_alpha_to_one=False)
    draws = draw(25)
    path = reference(scheduler, 25, draws, monkeypatch, use_clipped_model_output=True)
    assert_same_path(follow(table, draws, ("after", 0.5)), path)


@pytest.mark.parametrize("prediction", ["v", "epsilon", "sample"])
@pytest.mark.parametrize("betas", ["linear", "scaled-linear", "cosine"])
@pytest.mark.parametrize("spacing, steps", [("linspace", 20), ("trailing", 12), ("leading", 25), ("linspace", 2),
                                            ("trailing", 1)])
def test_dpm_solver_pp_2m(prediction, betas, spacing, steps, monkeypatch):
    ours, theirs = process(betas)
    table = make_table({"kind": "dpm-solver++-2m", **ours, "prediction": prediction, "spacing": spacing,
                        "steps_offset": 1}, steps, GUIDANCE)
    scheduler = DPMSolverMultistepScheduler(**theirs, prediction_type=PREDICTION_TYPES[prediction],
                                            timestep_spacing=spacing, steps_offset=1)
    draws = draw(steps)
    assert_same_path(follow(table, draws), reference(scheduler, steps, draws, monkeypatch))


@pytest.mark.parametrize("prediction", ["v", "epsilon", "sample"])
@pytest.mark.parametrize("betas", ["linear", "scaled-linear", "cosine"])
def test_align_your_steps(prediction, betas, monkeypatch):
    ours, theirs = process(betas)
    table = make_table({"kind": "dpm-solver++-2m", **ours, "prediction": prediction, "spacing": "align-your-steps"}, 10, GUIDANCE)
    scheduler = DPMSolverMultistepScheduler(**theirs, prediction_type=PREDICTION_TYPES[prediction])
    plain = scheduler.set_timesteps
    monkeypatch.setattr(scheduler, "set_timesteps", lambda steps: plain(timesteps=AysSchedules["StableDiffusionTimesteps"]))
    draws = draw(10)
    assert_same_path(follow(table, draws), reference(scheduler, 10, draws, monkeypatch))


def test_another_sampler_keeps_process_and_prediction():
    trained = {"betas": "exp", "train_steps": 1024, "prediction": "sample"}
    schedule = {"kind": "heun-karras", "form": "diffusers", **trained}
    assert with_sampler(schedule, "heun-karras") == schedule
    assert with_sampler(schedule, "ddim") == {"kind": "ddim", **trained}
    trailing = {"kind": "ddim", "eta": 0.5, "spacing": "trailing", "steps_offset": 1, "prediction": "v", "betas": "cosine"}
    found = with_sampler(trailing, "dpm-solver++-2m")
    assert found == {"kind": "dpm-solver++-2m", "spacing": "trailing", "steps_offset": 1, "prediction": "v", "betas": "cosine"}
    assert with_sampler(trailing, "align-your-steps") == {**found, "spacing": "align-your-steps"}
    for name in SAMPLER_NAMES:
        assert np.isfinite(make_table(with_sampler(trailing, name), 10, 2.0).rows).all()


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("betas, train_steps", [("exp", 1024), ("linear", 1000)])
@pytest.mark.parametrize("steps, limit", [(25, None), (64, 1.0), (8, None)])
def test_heun_as_in_diffusers(prediction, betas, train_steps, steps, limit, monkeypatch):
    ours, theirs = process(betas)
    table = make_table({"kind": "heun-karras", **ours, "train_steps": train_steps, "prediction": prediction,
                        "form": "diffusers"}, steps, GUIDANCE)
    scheduler = HeunDiscreteScheduler(**theirs, num_train_timesteps=train_steps, use_karras_sigmas=True,
                                      prediction_type=PREDICTION_TYPES[prediction], clip_sample=limit is not None,
                                      clip_sample_range=limit or 1.0)
    draws = draw(2 * steps - 1)
    path = reference(scheduler, steps, draws, monkeypatch)
    assert_same_path(follow(table, draws, limit and ("after", limit)), path)


def published_shap_e(steps, start, w):
    """Shap-E's sampler from the paper and its published settings, written out in float64: the latents after each
    evaluation of the network. Karras sigmas 1e-3 to 160, rho 7; alpha_bar(t) = exp(-12 (t + 1) / 1024)."""
    bars = np.exp(-12 * (np.arange(1024) + 1) / 1024)
    inverse = np.linspace(160 ** (1 / 7), 1e-3 ** (1 / 7), steps)
    sigmas = [*(inverse**7), 0.0]
    path = []

    def timestep(sigma):
        bar = 1 / (sigma**2 + 1)
        if bar >= bars[0]:
            return 0
        high = int(np.argmax(bars < bar))  # bars[high - 1] >= bar > bars[high]
        return int(high - 1 + (bars[high - 1] - bar) / (bars[high - 1] - bars[high]))

    def slope(x, sigma):
        uncond, cond = (np.clip(half, -1, 1) for half in network(x / np.sqrt(sigma**2 + 1), timestep(sigma)))
        return (x - (uncond + w * (cond - uncond))) / sigma

    x = start * 160.0
    for sigma, after in zip(sigmas[:-1], sigmas[1:], strict=True):
        first = slope(x, sigma)
        guess = x + (after - sigma) * first
        path.append(guess)
        if after > 0:
            guess = x + (after - sigma) * (first + slope(guess, after)) / 2
            path.append(guess)
        x = guess
    return path


@pytest.mark.parametrize("steps", [64, 16, 2, 1])
def test_heun_as_in_shap_e(steps):
    schedule = {"kind": "heun-karras", "betas": "exp", "train_steps": 1024, "form": "original"}
    table = make_table(schedule, steps, GUIDANCE)
    draws = draw(2 * steps - 1)
    path = published_shap_e(steps, draws[0].astype(np.float64), GUIDANCE)
    assert len(path) == 2 * steps - 1
    assert_same_path(follow(table, draws, ("before", 1.0)), path)


def test_the_levels_of_shap_e():
    process = {"kind": "heun-karras", "betas": "exp", "train_steps": 1024}
    original, theirs = (make_table({**process, "form": form}, 64, 15.0) for form in ("original", "diffusers"))
    assert original.initial_scale == pytest.approx(160) and theirs.initial_scale == pytest.approx(403.42, abs=0.01)
    times = original.rows[:, 0]
    assert len(times) == len(theirs.rows) == 127
    assert (times == np.trunc(times)).all() and times[-1] == 0
    # As the published code finds them for these 64 steps; below sigma 0.1086 all of them are 0.
    assert times[:8].tolist() == [865, 849, 849, 833, 833, 817, 817, 801] and (times == 0).sum() == 30
    assert (theirs.rows[1:-1, 0] != np.trunc(theirs.rows[1:-1, 0])).mean() > 0.9


def test_the_original_form_knows_the_timesteps_of_single_precision_sigmas():
    # The published code keeps sigmas in float32 before it truncates timesteps.
    table = make_table({"kind": "heun-karras", "betas": "exp", "train_steps": 1024}, 64, 1.0)
    ramp = torch.linspace(0, 1, 64)
    sigmas = (160 ** (1 / 7) + ramp * (1e-3 ** (1 / 7) - 160 ** (1 / 7))) ** 7
    bars = np.exp(-12 * (np.arange(1024) + 1) / 1024)
    single = np.trunc(np.interp(1 / (sigmas.numpy() ** 2 + 1), bars[::-1], np.arange(1024)[::-1]))
    np.testing.assert_array_equal(table.rows[::2, 0], single)


def test_trailing_timesteps_are_those_of_diffusers():
    scheduler = EulerAncestralDiscreteScheduler(timestep_spacing="trailing")
    for steps in range(1, 101):
        scheduler.set_timesteps(steps)
        # For 61 steps, say, a rounding gives diffusers one timestep too many, -1.
        np.testing.assert_array_equal(make_table({"kind": "euler-ancestral"}, steps, 1.0).rows[:, 0], scheduler.timesteps.numpy()[:steps])


def test_rows_are_float32_with_the_guidance_in_the_last_column():
    for kind in ("euler-ancestral", "ddim", "dpm-solver++-2m", "heun-karras"):
        rows = make_table({"kind": kind}, 7, 2.5).rows
        assert rows.dtype == np.float32 and rows.flags.c_contiguous and rows.shape[1] == 9
        assert np.isfinite(rows).all() and (rows[:, 8] == 2.5).all()


@pytest.mark.parametrize("schedule, steps, guidance, message", [
    ({"kind": "plms"}, 10, 1.0, "'plms'"),
    ({}, 10, 1.0, "None"),
    ({"kind": "ddim", "spacing": "even"}, 10, 1.0, "'even'"),
    ({"kind": "ddim", "prediction": "flow"}, 10, 1.0, "'flow'"),
    ({"kind": "ddim", "betas": "sigmoid"}, 10, 1.0, "'sigmoid'"),
    ({"kind": "ddim", "form": "original"}, 10, 1.0, "'form'"),
    ({"kind": "ddim", "beta_start": "small"}, 10, 1.0, "type"),
    ({"kind": "ddim", "beta_start": 0.5, "beta_end": 0.1}, 10, 1.0, "0.5"),
    ({"kind": "ddim", "train_steps": 1}, 1, 1.0, "train_steps"),
    ({"kind": "ddim"}, 0, 1.0, "0 steps"),
    ({"kind": "ddim"}, -3, 1.0, "-3 steps"),
    ({"kind": "ddim"}, 1001, 1.0, "1001 steps"),
    ({"kind": "ddim", "spacing": "leading", "steps_offset": 20}, 1000, 1.0, "offset 20"),
    ({"kind": "dpm-solver++-2m"}, 0, 1.0, "0 steps"),
    ({"kind": "heun-karras"}, 0, 1.0, "0 steps"),
    ({"kind": "heun-karras", "form": "other"}, 5, 1.0, "'other'"),
    ({"kind": "heun-karras", "sigma_min": 200.0}, 5, 1.0, "200"),
    ({"kind": "dpm-solver++-2m", "spacing": "align-your-steps"}, 12, 1.0, "is 10 steps of 1000, not 12 of 1000"),
    ({"kind": "ddim", "spacing": "align-your-steps"}, 10, 1.0, "'align-your-steps'"),
    ({"kind": "ddim"}, 10, float("nan"), "nan"),
    ({"kind": "ddim"}, 10, float("inf"), "inf"),
])
def test_bad_schedules_say_what_is_wrong(schedule, steps, guidance, message):
    with pytest.raises(ValueError, match=message):
        make_table(schedule, steps, guidance)


@pytest.mark.parametrize("options", [{"kind": "euler-ancestral"}, {"kind": "euler-ancestral", "spacing": "leading", "steps_offset": 1},
                                     {"kind": "ddim"}, {"kind": "ddim", "eta": 0.7, "prediction": "v"},
                                     {"kind": "dpm-solver++-2m"}, {"kind": "heun-karras"}, {"kind": "heun-karras", "form": "diffusers"}],
                         ids=lambda options: "-".join(map(str, options.values())))
def test_each_row_takes_latents_of_its_level(options):
    """A row that knows x0 exactly leads from signal and noise of its own level to those of the next one."""
    table = make_table({"betas": "linear", "beta_start": 0.00085, "beta_end": 0.012, "train_steps": 1000, **options}, 6, 1.0)
    rows = dict(zip(COLUMNS, table.rows.astype(np.float64).T, strict=True))
    (signal, noise), after = table.levels[:-1].T, table.levels[1:].T
    assert table.levels.shape == (len(table.rows), 2) and table.levels.dtype == np.float64
    np.testing.assert_allclose(rows["a"][:-1] * signal + rows["b"][:-1] + rows["c"][:-1], after[0], rtol=1e-4)
    np.testing.assert_allclose(np.hypot(rows["a"][:-1] * noise, rows["k"][:-1]), after[1], rtol=1e-4)
    assert np.hypot(*table.levels[0]) == pytest.approx(table.initial_scale, rel=0.01)

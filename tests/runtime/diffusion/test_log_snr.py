"""The ancestral sampler over the log-SNR against the loop that LAS-Diffusion describes, which knows no table."""

import numpy as np
import pytest

from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.diffusion.noise_levels import log_snr, signal_and_noise
from meshwright.runtime.diffusion.schedules import COLUMNS, SAMPLER_NAMES, make_table, with_sampler

SCHEDULE, SHAPE = {"kind": "log-snr-ancestral"}, (1, 4, 4)


def network(x, t):
    """Both halves of guidance, a smooth function of what it sees."""
    wave = np.sin(np.arange(x.size).reshape(x.shape) + 3 * t)
    return 0.6 * np.tanh(x) + 0.3 * wave, 0.5 * np.tanh(x + 0.2) - 0.4 * wave


def plain_loop(start, noise, weight):
    """Algorithm of arXiv 2305.04461 in double precision: lambda(t) = -log(expm1(1e-4 + 10 t^2))."""
    steps, x = len(noise), start.astype(np.float64)
    for i in range(steps):
        now, then = 1 - i / steps, 1 - (i + 1) / steps
        lam, lam_then = (-np.log(np.expm1(1e-4 + 10 * t * t)) for t in (now, then))
        alpha, alpha_then = (np.sqrt(1 / (1 + np.exp(-value))) for value in (lam, lam_then))
        sigma_then = np.sqrt(1 / (1 + np.exp(lam_then)))
        uncond, cond = network(x, now)
        guess, c = uncond + weight * (cond - uncond), 1 - np.exp(lam - lam_then)
        x = alpha_then * (x * (1 - c) / alpha + c * guess)
        if i + 1 < steps:
            x = x + sigma_then * np.sqrt(c) * noise[i]
    return x


@pytest.mark.parametrize("steps, weight", [(1, 1.0), (3, 2.0), (50, 1.5)])
def test_the_table_follows_the_plain_loop(steps, weight):
    start, noise = normal(0, "start", SHAPE), normal(0, "noise", (steps, *SHAPE))
    table = make_table(SCHEDULE, steps, weight)
    x, previous = np.float32(table.initial_scale) * start, np.zeros(SHAPE, np.float32)
    for row, z in zip(table.rows, noise, strict=True):
        t, scale, from_x, from_output, a, b, c, k, w = row
        uncond, cond = network(scale * x, t)
        guess = from_x * x + from_output * (uncond + w * (cond - uncond))
        x, previous = a * x + b * guess + c * previous + k * z, guess
    np.testing.assert_allclose(x, plain_loop(start, noise, weight), atol=1e-4)


def test_levels_are_those_of_the_latents_that_a_row_takes():
    table = make_table(SCHEDULE, 5, 1.0)
    np.testing.assert_allclose(np.square(table.levels).sum(axis=1), 1)
    times = table.rows[:, COLUMNS.index("timestep")]
    np.testing.assert_allclose(times, [1.0, 0.8, 0.6, 0.4, 0.2], atol=1e-6)
    np.testing.assert_allclose(table.levels, np.stack(signal_and_noise(log_snr(times.astype(np.float64))), axis=1), atol=1e-6)
    assert table.rows[-1, COLUMNS.index("k")] == 0 < table.rows[:-1, COLUMNS.index("k")].min()


def test_guidance_may_be_limited_to_an_interval_and_there_are_no_options():
    table = make_table(SCHEDULE, 4, 2.0, (0.5, 5.0))
    ratios = table.levels[:, 1] / table.levels[:, 0]
    inside = (ratios >= 0.5) & (ratios <= 5.0)
    assert not inside[0] and inside.any()
    np.testing.assert_array_equal(table.rows[:, COLUMNS.index("w")], np.where(inside, 2.0, 1.0))
    with pytest.raises(ValueError, match="has no option 'betas'"):
        make_table({**SCHEDULE, "betas": "cosine"}, 4, 1.0)
    with pytest.raises(ValueError, match="0 steps"):
        make_table(SCHEDULE, 0, 1.0)


def test_it_is_no_sampler_that_other_loops_can_be_asked_for():
    assert SCHEDULE["kind"] not in SAMPLER_NAMES
    with pytest.raises(KeyError):
        with_sampler({"kind": "ddim"}, SCHEDULE["kind"])

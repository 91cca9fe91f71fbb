"""Samplers as tables of numbers, one row for each evaluation of the network.

A step model (one exported graph) takes the latents x, the previous prediction, noise and one row, and computes

    m      = network(scale_in x, timestep), guided: m_uncond + w (m_cond - m_uncond)
    x0     = x0_from_x x + x0_from_output m, clamped if the model says so
    x_next = a x + b x0 + c previous + k noise                      previous_next = x0

so a sampler never runs any code of its own: adding one means adding a function that fills in a table.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .noise_levels import AYS_TIMESTEPS, NoiseLevels, karras_sigmas, log_snr, signal_and_noise, timesteps

COLUMNS = ("timestep", "scale_in", "x0_from_x", "x0_from_output", "a", "b", "c", "k", "w")
PREDICTIONS = ("v", "epsilon", "sample")
AYS_STEPS = "align-your-steps"


@dataclass(frozen=True)
class Table:
    """rows : (N, 9) float32, columns as in COLUMNS. initial_scale : the loop starts from initial_scale * noise.

    levels : (N, 2) float64; the latents that row i takes are levels[i, 0] * x0 + levels[i, 1] * noise
    """

    rows: np.ndarray
    initial_scale: float
    levels: np.ndarray


def euler_ancestral(levels: NoiseLevels, steps: int, guidance: float, *, prediction: str = "v",
                    spacing: str = "trailing", steps_offset: int = 0) -> Table:
    """Ancestral sampling with Euler steps, latents x0 + sigma * noise; `steps` rows, fresh noise at all but the last.

    The "epsilon" and "v" forms of diffusers' EulerAncestralDiscreteScheduler. Raises ValueError.
    """
    times = timesteps(levels, steps, spacing, steps_offset)
    sigma = levels.sigmas_at(times)
    after = np.append(sigma[1:], 0.0)
    up = np.sqrt(after**2 * (sigma**2 - after**2) / sigma**2)
    keep = np.sqrt(after**2 - up**2) / sigma
    rows = _rows(times, guidance, **_input_of_sigma(sigma, prediction), a=keep, b=1 - keep, k=up)
    return Table(rows, _first_sigma(sigma, spacing), _levels(1.0, sigma))


def ddim(levels: NoiseLevels, steps: int, guidance: float, *, prediction: str = "epsilon", spacing: str = "leading",
         steps_offset: int = 0, eta: float = 0.0, set_alpha_to_one: bool = True) -> Table:
    """DDIM (arXiv 2010.02502, equations 12 and 16), latents scaled to unit variance; `steps` rows.

    eta              : 0 for no noise, 1 for that of DDPM
    set_alpha_to_one : end at the prediction itself; otherwise at the noise of timestep 0
    As diffusers' DDIMScheduler: each step goes train_steps // steps timesteps down, even where the spacing is a
    fraction more. A clamped prediction changes the direction too (`use_clipped_model_output` there). Raises ValueError.
    """
    times = np.round(timesteps(levels, steps, spacing, steps_offset)).astype(np.int64)
    after = times - levels.train_steps // steps
    last = 1.0 if set_alpha_to_one else levels.alphas_cumprod[0]
    bar, bar_next = levels.alphas_cumprod[times], np.where(after < 0, last, levels.alphas_cumprod[after])
    k = eta * np.sqrt((1 - bar_next) / (1 - bar) * (1 - bar / bar_next))
    a = np.sqrt((1 - bar_next - k**2) / (1 - bar))
    b = np.sqrt(bar_next) - a * np.sqrt(bar)
    return Table(_rows(times, guidance, **_input_of_alpha(bar, prediction), a=a, b=b, k=k), 1.0,
                 _levels(np.sqrt(bar), np.sqrt(1 - bar)))


def dpm_solver_pp_2m(levels: NoiseLevels, steps: int, guidance: float, *, prediction: str = "epsilon",
                     spacing: str = "linspace", steps_offset: int = 0) -> Table:
    """DPM-Solver++ (2M), mid-point form (arXiv 2211.01095, algorithm 2); latents of unit variance; `steps` rows.

    spacing : also "align-your-steps", the ten timesteps of that paper
    As diffusers' DPMSolverMultistepScheduler of order 2, ending at sigma 0: the first and the last step are of
    first order. Raises ValueError.
    """
    times = _multistep_times(levels, steps, spacing, steps_offset)
    sigma = levels.sigmas_at(times)
    after = np.append(sigma[1:], 0.0)
    alpha, alpha_next = 1 / np.hypot(1, sigma), 1 / np.hypot(1, after)
    towards = alpha_next * (1 - after / sigma)
    extra = np.zeros(len(times))
    if steps > 2:
        h = np.log(sigma[:-1] / sigma[1:])
        extra[1:-1] = h[1:] / (2 * h[:-1])
    update = {"a": after * alpha_next / (sigma * alpha), "b": towards * (1 + extra), "c": -towards * extra}
    return Table(_rows(times, guidance, **_input_of_alpha(alpha**2, prediction), **update), 1.0, _levels(alpha, alpha * sigma))


def shap_e_karras_heun(levels: NoiseLevels, steps: int, guidance: float, *, form: str = "original",
                       prediction: str = "sample", sigma_min: float = 1e-3, sigma_max: float = 160.0,
                       rho: float = 7.0) -> Table:
    """Heun steps over Karras' sigmas (arXiv 2206.00364, algorithm 2 without churn); 2 * steps - 1 rows.

    form "original"  : as in Shap-E's own code: sigmas from sigma_max to sigma_min, whole timesteps
    form "diffusers" : as in HeunDiscreteScheduler(use_karras_sigmas=True): sigmas between those of the training, so
                       sigma_min and sigma_max have no effect; timesteps with fractions
    The forms are not interchangeable: the original clamps x0 before guidance, diffusers after it, and that is part
    of the exported step model. Raises ValueError.
    """
    if form == "original":
        sigma = karras_sigmas(_positive(steps), sigma_max, sigma_min, rho)
        times = _whole_timesteps(levels, sigma)
    elif form == "diffusers":
        sigma = karras_sigmas(_positive(steps), levels.sigmas[-1], levels.sigmas[0], rho)
        times = levels.timesteps_at(sigma)
    else:
        raise ValueError(f"form is {form!r}, not original or diffusers")
    rows = _heun_rows(times, sigma, guidance, prediction)
    return Table(rows, float(sigma[0]), _levels(1.0, np.repeat(sigma, 2)[1:]))


def log_snr_ancestral(steps: int, guidance: float) -> Table:
    """Ancestral sampling between evenly spaced times, from 1 down to 0; `steps` rows, fresh noise at all but the last.

    Of models that predict x0 under `log_snr`, latents of unit variance (LAS-Diffusion, arXiv 2305.04461, whose samplers One-2-3-45++
    follows). The column "timestep" holds the time in [0, 1]. Raises ValueError.
    """
    times = np.linspace(1.0, 0.0, _positive(steps) + 1)
    ratio = log_snr(times)
    alpha, sigma = signal_and_noise(ratio)
    fresh = -np.expm1(ratio[:-1] - ratio[1:])
    k = sigma[1:] * np.sqrt(fresh)
    k[-1] = 0.0
    rows = _rows(times[:-1], guidance, scale_in=1.0, x0_from_output=1.0, a=alpha[1:] * (1 - fresh) / alpha[:-1], b=alpha[1:] * fresh, k=k)
    return Table(rows, 1.0, _levels(alpha[:-1], sigma[:-1]))


SAMPLERS: dict[str, Callable[..., Table]] = {
    "euler-ancestral": euler_ancestral,
    "ddim": ddim,
    "dpm-solver++-2m": dpm_solver_pp_2m,
    "heun-karras": shap_e_karras_heun,
}


# The one sampler of loops whose noise is no process of `NoiseLevels`.
LOG_SNR = "log-snr-ancestral"
# What a caller may ask for in place of a pack's sampler: those, and one of them at timesteps of its own.
SAMPLER_NAMES = (*SAMPLERS, AYS_STEPS)


def with_sampler(schedule: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A pack's schedule with another sampler, of the same process and prediction. name : one of SAMPLER_NAMES

    The options that both samplers have stay, the others are the new one's defaults.
    """
    kind, own = ("dpm-solver++-2m", {"spacing": AYS_STEPS}) if name == AYS_STEPS else (name, {})
    if schedule.get("kind") == kind:
        return {**schedule, **own}
    known = {*inspect.signature(SAMPLERS[kind]).parameters, *(field.name for field in fields(NoiseLevels))}
    return {**{option: value for option, value in schedule.items() if option in known}, "kind": kind, **own}


def make_table(schedule: Mapping[str, object], steps: int, guidance: float, interval: tuple[float, float] | None = None) -> Table:
    """The table of a pack's schedule: "kind" names the sampler, other keys are the options of it and of NoiseLevels.

    interval : the lowest and the highest noise over signal at which there is guidance, elsewhere w is 1 (arXiv 2404.07724, equation
        6); None for all
    Raises ValueError for an unknown kind, key or value.
    """
    options = dict(schedule)
    kind = options.pop("kind", None)
    if kind not in (*SAMPLERS, LOG_SNR):
        raise ValueError(f"kind is {kind!r}, not one of {', '.join((*SAMPLERS, LOG_SNR))}")
    if not math.isfinite(guidance):
        raise ValueError(f"guidance is {guidance}, not a finite number")
    if kind == LOG_SNR:
        if options:
            raise ValueError(f"{LOG_SNR} has no option {', '.join(map(repr, options))}")
        return _guided_within(log_snr_ancestral(steps, guidance), interval)
    process: dict[str, Any] = {field.name: options.pop(field.name) for field in fields(NoiseLevels) if field.name in options}
    known = inspect.signature(SAMPLERS[kind]).parameters
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f"{kind} has no option {', '.join(map(repr, unknown))}")
    try:
        return _guided_within(SAMPLERS[kind](NoiseLevels(**process), steps, guidance, **options), interval)
    except TypeError as error:  # a text where a number belongs, say
        raise ValueError(f"an option of {kind} has the wrong type: {error}") from error


def _guided_within(table: Table, interval: tuple[float, float] | None) -> Table:
    if interval is None:
        return table
    signal, noise = table.levels.T
    outside = (noise < interval[0] * signal) | (noise > interval[1] * signal)
    rows = table.rows.copy()
    rows[outside, COLUMNS.index("w")] = 1.0
    return replace(table, rows=rows)


def _rows(times: np.ndarray, guidance: float, **columns: np.ndarray | float) -> np.ndarray:
    """(N, 9) float32; a column that is not given is 0."""
    columns = {**columns, "timestep": times, "w": guidance}
    rows = np.stack([np.broadcast_to(columns.get(name, 0.0), times.shape) for name in COLUMNS], axis=1)
    return np.ascontiguousarray(rows, np.float32)


def _levels(signal: np.ndarray | float, noise: np.ndarray) -> np.ndarray:
    """(N, 2) float64, see `Table`."""
    return np.stack(np.broadcast_arrays(np.asarray(signal, np.float64), noise), axis=1)


def _input_of_sigma(sigma: np.ndarray, prediction: str) -> dict[str, np.ndarray | float]:
    """The first columns for latents x = x0 + sigma * noise, which the network sees at unit variance."""
    scale = 1 / np.hypot(1, sigma)
    from_x, from_output = {"v": (scale**2, -sigma * scale), "epsilon": (1.0, -sigma),
                           "sample": (0.0, 1.0)}[_checked(prediction)]
    return {"scale_in": scale, "x0_from_x": from_x, "x0_from_output": from_output}


def _input_of_alpha(bar: np.ndarray, prediction: str) -> dict[str, np.ndarray | float]:
    """The first columns for latents x = sqrt(bar) x0 + sqrt(1 - bar) noise."""
    signal, noise = np.sqrt(bar), np.sqrt(1 - bar)
    from_x, from_output = {"v": (signal, -noise), "epsilon": (1 / signal, -noise / signal),
                           "sample": (0.0, 1.0)}[_checked(prediction)]
    return {"scale_in": 1.0, "x0_from_x": from_x, "x0_from_output": from_output}


def _heun_rows(times: np.ndarray, sigma: np.ndarray, guidance: float, prediction: str) -> np.ndarray:
    """Predictor, corrector, predictor, ..., predictor: to sigma i, two evaluations; to zero, one.

    The predictor is Euler's step, x' = r x + (1 - r) p with r = sigma' / sigma. The corrector starts from x' and
    needs no x: the first slope is (x - p) / sigma = (x' - p) / sigma', so that with the second, (x' - p') / sigma',
    their mean in place of the first gives x' + g p - g p', g = (sigma' - sigma) / (2 sigma').
    """
    at = np.repeat(np.arange(len(sigma)), 2)[1:]  # 0, 1, 1, 2, 2, ...: where each evaluation looks
    corrector = np.arange(len(at)) % 2 == 1
    ratio = np.append(sigma[1:], 0.0)[at] / sigma[at]
    before = sigma[np.maximum(at - 1, 0)]
    g = (sigma[at] - before) / (2 * sigma[at])
    return _rows(times[at], guidance, **_input_of_sigma(sigma[at], prediction), a=np.where(corrector, 1.0, ratio),
                 b=np.where(corrector, -g, 1 - ratio), c=np.where(corrector, g, 0.0))


def _whole_timesteps(levels: NoiseLevels, sigma: np.ndarray) -> np.ndarray:
    """Timesteps as Shap-E's code finds them: alpha_bar interpolated linearly, truncated, held at both ends."""
    bar = 1 / (sigma**2 + 1)
    descending = levels.exact[::-1], np.arange(levels.train_steps)[::-1]
    return np.trunc(np.interp(bar, *descending))


def _multistep_times(levels: NoiseLevels, steps: int, spacing: str, offset: int) -> np.ndarray:
    """Whole timesteps; of "leading" and "linspace", the last of steps + 1, which sigma 0 stands for, is left out."""
    if spacing == AYS_STEPS:
        if steps != len(AYS_TIMESTEPS) or levels.train_steps <= AYS_TIMESTEPS[0]:
            raise ValueError(f"{AYS_STEPS} is {len(AYS_TIMESTEPS)} steps of 1000, not {steps} of {levels.train_steps}")
        return np.array(AYS_TIMESTEPS, np.float64)
    if spacing == "trailing":
        return timesteps(levels, steps, spacing)
    return np.round(timesteps(levels, _positive(steps) + 1, spacing)[:-1]) + (offset if spacing == "leading" else 0)


def _first_sigma(sigma: np.ndarray, spacing: str) -> float:
    """The scale of the first latents: diffusers counts the signal's variance in for "leading" only."""
    return float(np.hypot(1, sigma[0]) if spacing == "leading" else sigma[0])


def _positive(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"{steps} steps are not 1 or more")
    return steps


def _checked(prediction: str) -> str:
    if prediction not in PREDICTIONS:
        raise ValueError(f"prediction is {prediction!r}, not one of {', '.join(PREDICTIONS)}")
    return prediction

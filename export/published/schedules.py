"""From a published scheduler_config.json to the schedule of a pack, and to the clamp that its step model needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engines.errors import CheckpointError
from ..onnx.step_model import Clamp
from .folders import existing_folder
from .json_file import read_object

BETAS = {"linear": "linear", "scaled_linear": "scaled-linear", "squaredcos_cap_v2": "cosine", "exp": "exp"}
PREDICTIONS = {"v_prediction": "v", "epsilon": "epsilon", "sample": "sample"}
# Where Shap-E's own sampler starts and ends.
SHAP_E_SIGMAS = {"sigma_max": 160.0, "sigma_min": 1e-3}
FORMS = ("original", "diffusers")
SPACINGS = ("trailing", "leading", "linspace")


@dataclass(frozen=True)
class Sampling:
    """schedule : of pack.json, for runtime.schedules.make_table; clamp : of the step model; notices : slips that were let pass."""

    schedule: Mapping[str, Any]
    clamp: Clamp | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Class:
    """A scheduler of diffusers. defaults : of the keys that its file may lack; needs : the only values that a table can express."""

    kind: str
    defaults: Mapping[str, Any]
    needs: Mapping[str, Any]


_COMMON = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "prediction_type": "epsilon",
           "steps_offset": 0}
_ALWAYS = {"trained_betas": None, "rescale_betas_zero_snr": False, "thresholding": False, "use_exponential_sigmas": False,
           "use_beta_sigmas": False}
_CLASSES = {
    "EulerAncestralDiscreteScheduler": _Class("euler-ancestral", _COMMON | {"timestep_spacing": "linspace"}, _ALWAYS),
    "DDIMScheduler": _Class("ddim", _COMMON | {"timestep_spacing": "leading", "clip_sample": True, "clip_sample_range": 1.0,
                                               "set_alpha_to_one": True}, _ALWAYS),
    "DPMSolverMultistepScheduler": _Class(
        "dpm-solver++-2m", _COMMON | {"timestep_spacing": "linspace"},
        _ALWAYS | {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint", "use_karras_sigmas": False,
                   "use_lu_lambdas": False, "use_flow_sigmas": False, "final_sigmas_type": "zero"}),
    "HeunDiscreteScheduler": _Class(
        "heun-karras", _COMMON | {"beta_start": 0.00085, "beta_end": 0.012, "use_karras_sigmas": False, "clip_sample": False,
                                  "clip_sample_range": 1.0}, _ALWAYS | {"use_karras_sigmas": True}),
}


def sampling(folder: str | os.PathLike[str], spacing: str | None = None) -> Sampling:
    """The sampler of that `scheduler` folder, in the form of diffusers.

    spacing : of the timesteps, in place of the file's; every published script of Zero123++ asks for "trailing"
    Raises CheckpointError for a scheduler that no table of ours expresses.
    """
    config, where, notices = _read(folder)
    found = _CLASSES.get(str(config.get("_class_name")))
    if found is None:
        raise CheckpointError(f"{where} requires an unknown sampler", received=str(config.get("_class_name")),
                              expected=", ".join(_CLASSES))
    config = {**found.defaults, **config}
    for key, value in found.needs.items():
        if config.get(key, value) != value:
            raise CheckpointError(f"{where} requires a variant of {found.kind} that is not known here", received=f"{key} {config[key]!r}",
                                  expected=f"{key} {value!r}")
    schedule = {"kind": found.kind, **_process(config, where), **_options(found.kind, config, spacing)}
    clamp = _clamp(config, where) if "clip_sample" in found.defaults and config["clip_sample"] else None
    return Sampling(_checked(schedule, where), clamp, notices)


def shap_e_sampling(folder: str | os.PathLike[str], form: str) -> Sampling:
    """Shap-E's sampler: "original" as in its own code, "diffusers" as in its pipeline there. They draw different shapes.

    The original's sigmas run from 160 to 0.001 and x0 is clamped in each half before guidance; that of diffusers
    runs between the ends of training and clamps after it. Raises CheckpointError.
    """
    if form not in FORMS:
        raise CheckpointError("the form of Shap-E's sampler is unknown", received=form, expected=" or ".join(FORMS))
    published = sampling(folder)
    schedule, where = published.schedule, f"{folder}/scheduler_config.json"
    if schedule["kind"] != "heun-karras":
        raise CheckpointError(f"{where} is not the sampler of Shap-E", received=schedule["kind"], expected="heun-karras")
    if form == "diffusers":
        return published
    original = {**schedule, "form": "original", **SHAP_E_SIGMAS}
    return Sampling(_checked(original, where), ("before", -1.0, 1.0), published.notices)


def _read(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    path = existing_folder(folder) / "scheduler_config.json"
    config, notices = read_object(path)
    return config, str(path), notices


def _process(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of runtime.noise_levels.NoiseLevels; the ends of the betas only where their form has any."""
    betas = _renamed(config, "beta_schedule", BETAS, where)
    ends = {"beta_start": config["beta_start"], "beta_end": config["beta_end"]} if betas in ("linear", "scaled-linear") else {}
    return {"betas": betas, **ends, "train_steps": config["num_train_timesteps"],
            "prediction": _renamed(config, "prediction_type", PREDICTIONS, where)}


def _options(kind: str, config: Mapping[str, Any], spacing: str | None) -> dict[str, Any]:
    if kind == "heun-karras":
        return {"form": "diffusers"}
    spacing = spacing or config["timestep_spacing"]
    # diffusers adds the offset to "leading" timesteps only, whatever its files say.
    offset = {"steps_offset": config["steps_offset"]} if spacing == "leading" else {}
    end = {"set_alpha_to_one": config["set_alpha_to_one"]} if kind == "ddim" else {}
    return {"spacing": spacing, **offset, **end}


def _clamp(config: Mapping[str, Any], where: str) -> Clamp:
    reach = config["clip_sample_range"]
    if isinstance(reach, bool) or not isinstance(reach, int | float) or not reach > 0:
        raise CheckpointError(f"{where}: clip_sample_range is not a positive number", received=repr(reach), expected="a positive number")
    return "after", -float(reach), float(reach)


def _renamed(config: Mapping[str, Any], key: str, names: Mapping[str, str], where: str) -> str:
    if not isinstance(config[key], str) or config[key] not in names:
        raise CheckpointError(f"{where}: {key} is not known here", received=repr(config[key]), expected=", ".join(names))
    return names[config[key]]


def _checked(schedule: dict[str, Any], where: str) -> dict[str, Any]:
    """A value that the runtime would refuse later, such as a text where a number belongs, is refused now."""
    start, end = schedule.get("beta_start", 0.1), schedule.get("beta_end", 0.1)
    wrong = {
        "train_steps": not _is_whole(schedule["train_steps"]) or schedule["train_steps"] < 2,
        "beta_start": not isinstance(start, float), "beta_end": not isinstance(end, float),
        "spacing": schedule.get("spacing", "trailing") not in SPACINGS,
        "steps_offset": not _is_whole(schedule.get("steps_offset", 0)),
        "set_alpha_to_one": not isinstance(schedule.get("set_alpha_to_one", True), bool)}
    for name in (name for name, is_wrong in wrong.items() if is_wrong):
        raise CheckpointError(f"{where} describes no sampler", received=f"{name} {schedule[name]!r}")
    if not 0 < start <= end < 1:
        raise CheckpointError(f"{where} describes no sampler", received=f"betas from {start} to {end}",
                              expected="ascending between 0 and 1")
    return schedule


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

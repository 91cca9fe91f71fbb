"""What the small files of a published pipeline say: model_index.json and the image processors."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from ...engines.errors import CheckpointError
from .folders import existing_folder
from .json_file import read_object

StrPath = str | os.PathLike[str]
SHAP_E = {"ShapEPipeline": "text", "ShapEImg2ImgPipeline": "image"}
ZERO123PLUS = "Zero123PlusPipeline"
# PIL's numbers, which the files hold, of what the runtime can do.
RESAMPLING = {2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class ImageProcessor:
    """Resize the short side to `size` pixels, cut a square of `size` from the centre, then (rgb - mean) / std, rgb in [0, 1].

    resample : "bicubic" or "bilinear", as PIL calls it
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int
    resample: str


def kind_of_shap_e(root: StrPath) -> str:
    """"text" or "image": what the Shap-E pipeline in that folder starts from. Raises CheckpointError."""
    index, where = _index(root)
    kind = index.get("_class_name")
    if not isinstance(kind, str) or kind not in SHAP_E:
        raise CheckpointError(f"{where} is not of Shap-E", received=str(kind), expected=" or ".join(SHAP_E))
    return SHAP_E[kind]


def check_zero123plus(root: StrPath) -> None:
    """Raises CheckpointError if the folder holds another pipeline than Zero123++."""
    index, where = _index(root)
    if index.get("_class_name") != ZERO123PLUS:
        raise CheckpointError(f"{where} is not of Zero123++", received=str(index.get("_class_name")), expected=ZERO123PLUS)


def ramping_coefficients(root: StrPath, length: int) -> tuple[float, ...]:
    """How strongly each of the `length` states takes the picture in: the ramp of Zero123++. Raises CheckpointError."""
    index, where = _index(root)
    ramp = index.get("ramping_coefficients")
    if not isinstance(ramp, list) or len(ramp) != length or not all(_is_finite(value) for value in ramp):
        received = f"a list of {len(ramp)}" if isinstance(ramp, list) else type(ramp).__name__
        raise CheckpointError(f"{where}: ramping_coefficients are not as Zero123++ has them", received=received,
                              expected=f"{length} numbers, one a token")
    return tuple(map(float, ramp))


def image_processor(folder: StrPath, seen: int | None = None) -> ImageProcessor:
    """What preprocessor_config.json asks for.

    seen : pixels along the picture that the network takes, if it takes one size only
    Raises CheckpointError for steps that are not those of ImageProcessor, or for another size.
    """
    path = existing_folder(folder) / "preprocessor_config.json"
    config, _ = read_object(path)
    off = [step for step in ("do_resize", "do_center_crop", "do_normalize", "do_rescale") if config.get(step, True) is not True]
    size, crop = _side(config.get("size")), _side(config.get("crop_size"))
    number, scale = config.get("resample", 3), config.get("rescale_factor", 1 / 255)
    resample = RESAMPLING.get(number) if isinstance(number, int) else None
    if off or size is None or crop != size or resample is None or not (_is_finite(scale) and math.isclose(scale, 1 / 255, rel_tol=1e-4)):
        raise CheckpointError(f"{path} preprocesses pictures differently",
                              expected="resize, bilinear or bicubic, square crop to the same size, normalise",
                              received=f"size {config.get('size')}, crop_size {config.get('crop_size')}, "
                                       f"resample {config.get('resample')}, rescale_factor {scale}, off: {', '.join(off) or 'nothing'}")
    if seen not in (None, size):
        raise CheckpointError(f"{path} does not belong to its encoder", received=f"pictures of {size} pixels", expected=f"{seen} pixels")
    mean, std = _channels(config, "image_mean", path), _channels(config, "image_std", path)
    if min(std) <= 0:
        raise CheckpointError(f"{path}: image_std is not above zero", received=str(std))
    return ImageProcessor(mean, std, size, resample)


def _index(root: StrPath) -> tuple[dict[str, Any], Path]:
    path = existing_folder(root) / "model_index.json"
    return read_object(path)[0], path


def _side(entry: Any) -> int | None:
    """A length as the files write it: 224, {"shortest_edge": 224} or {"height": 224, "width": 224}."""
    lengths = list(entry.values()) if isinstance(entry, dict) else [entry]
    side = lengths[0] if lengths and all(length == lengths[0] for length in lengths) else None
    return side if isinstance(side, int) and not isinstance(side, bool) and side > 0 else None


def _channels(config: dict[str, Any], name: str, path: Path) -> tuple[float, float, float]:
    value = config.get(name)
    numbers = [value] * 3 if _is_finite(value) else value
    if not isinstance(numbers, list) or len(numbers) != 3 or not all(_is_finite(n) for n in numbers):
        raise CheckpointError(f"{path}: {name} is not one number or three", received=str(value))
    red, green, blue = map(float, numbers)
    return red, green, blue


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)

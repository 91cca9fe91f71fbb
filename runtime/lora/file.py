"""A LoRA file as diffusers writes it: for each layer two thin matrices, whose product is added to the layer's weight.

    W' = W + scale * alpha / rank * up @ down

Names of a layer's matrices, `unet.` before them or not:

    LAYER.lora_A.weight, LAYER.lora_B.weight                   down and up, as PEFT calls them
    LAYER.lora.down.weight, LAYER.lora.up.weight               diffusers since 0.19
    ATTENTION.processor.to_q_lora.down.weight, ...             diffusers before
    lora_unet_LAYER.lora_down.weight, ... LAYER.alpha          the layer's name with "_" for "."
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...engines.errors import InputError
from ...engines.files.regular_file import read_regular
from .safetensors import parse

MAX_FILE_BYTES = 4 << 30
UNDERSCORED = "lora_unet_"
OLD = ((".processor.", "."), (".to_out_lora.", ".to_out.0.lora."), (".to_q_lora.", ".to_q.lora."),
       (".to_k_lora.", ".to_k.lora."), (".to_v_lora.", ".to_v.lora."))
MATRIX = re.compile(r"(?P<layer>.+?)\.(?:lora_(?P<peft>[AB])(?:\.default)?|(?:lora|lora_linear_layer)\.(?P<plain>down|up)"
                    r"|lora_(?P<under>down|up))\.weight\Z")
ALPHA = re.compile(r"(?P<layer>.+?)(?:\.lora)?\.alpha\Z")
NOTES = "lora_adapter_metadata"  # where diffusers keeps the settings of PEFT's adapter
MAX_LISTED = 5
MAX_FLOAT = sys.float_info.max


@dataclass(frozen=True, eq=False)
class Layer:
    """down : (r, inputs) float, or (r, inputs, kh, kw) of a convolution. up : (outputs, r), or (outputs, r, 1, 1)

    factor : alpha / r, or alpha / sqrt(r) of a file that says so
    """

    down: np.ndarray
    up: np.ndarray
    factor: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it is for."""
        return (self.up.shape[0], *self.down.shape[1:])

    def delta(self, scale: float) -> np.ndarray:
        """What is added to the weight, float32, in the weight's shape. Not finite where that is beyond float32."""
        rank = self.down.shape[0]
        with np.errstate(over="ignore", invalid="ignore"):
            up = self.up.reshape(-1, rank) * (scale * self.factor)
            return (up.astype(np.float32) @ self.down.reshape(rank, -1).astype(np.float32)).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Lora:
    """One file. layers : by name, as diffusers names modules; underscored : that name has "_" for "."."""

    name: str
    sha256: str
    layers: Mapping[str, Layer]
    underscored: frozenset[str]


def read_lora(path: str | Path) -> Lora:
    """Read a .safetensors file. InputError for one that is missing, damaged, or holds anything else than such matrices."""
    path = Path(path)
    data = read_regular(path, f"the LoRA {path}", InputError, max_bytes=MAX_FILE_BYTES)
    tensors, notes = parse(data, f"the LoRA {path}")
    parts, alphas, others = _sorted(tensors)
    layers = _layers(path, parts, alphas, _settings(notes), others)
    names = {name.removeprefix(UNDERSCORED): layer for name, layer in layers.items()}
    return Lora(path.name, hashlib.sha256(data).hexdigest(), names,
                frozenset(name.removeprefix(UNDERSCORED) for name in layers if name.startswith(UNDERSCORED)))


def first_few(names: list[str]) -> str:
    """Some of them, and how many there are."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def _sorted(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float], list[str]]:
    """Matrices by layer and part, alphas by layer, and the names of what is neither, or there twice."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    alphas: dict[str, float] = {}
    others = []
    for key, tensor in tensors.items():
        name = key.removeprefix("unet.")
        for old, new in OLD:
            name = name.replace(old, new)
        if found := MATRIX.match(name):
            part = found["plain"] or found["under"] or {"A": "down", "B": "up"}[found["peft"]]
            if parts.setdefault(found["layer"], {}).setdefault(part, tensor) is not tensor:
                others.append(key)
        elif (found := ALPHA.match(name)) and tensor.size == 1:
            alphas[found["layer"]] = float(tensor.reshape(()))
        else:
            others.append(key)
    return parts, alphas, others


def _layers(path: Path, parts: Mapping[str, Mapping[str, np.ndarray]], alphas: Mapping[str, float], settings: Mapping[str, Any],
            others: list[str]) -> dict[str, Layer]:
    """All layers, whole; InputError that lists what is not."""
    others += [f"{name}.alpha" for name in alphas.keys() - parts.keys()]
    if others:
        raise InputError(f"the LoRA {path.name} contains unknown or duplicate tensors", received=first_few(sorted(others)),
                         expected="LoRA matrices of a UNet: LAYER.lora_A.weight and LAYER.lora_B.weight")
    if not parts:
        raise InputError(f"the LoRA {path.name} is empty")
    broken = sorted(name for name, part in parts.items() if not _is_whole(part))
    if broken:
        raise InputError(f"the LoRA {path.name} has layers whose matrices do not match, or are not finite",
                         received=first_few(broken))
    return {name: Layer(**part, factor=_factor(name, len(part["down"]), alphas, settings)) for name, part in parts.items()}


def _is_whole(part: Mapping[str, np.ndarray]) -> bool:
    if part.keys() != {"down", "up"}:
        return False
    down, up = part["down"], part["up"]
    axes = down.ndim in (2, 4) and up.ndim in (2, 4) and up.shape[2:] in ((), (1, 1))
    return axes and down.size > 0 and down.shape[0] == up.shape[1] and bool(np.isfinite(down).all() and np.isfinite(up).all())


def _factor(name: str, rank: int, alphas: Mapping[str, float], settings: Mapping[str, Any]) -> float:
    """A layer without an alpha has one that is its rank. PEFT's patterns are the ends of layers' names."""
    pattern = next((value for key, value in settings.get("alpha_pattern", {}).items() if f".{name}".endswith(f".{key}")), None)
    alpha = alphas.get(name, settings.get("lora_alpha", rank) if pattern is None else pattern)
    # Compared before it is calculated with: a whole number of JSON may be beyond every float.
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not -MAX_FLOAT <= alpha <= MAX_FLOAT:
        raise InputError(f"the alpha of layer {name} is not a number", received=repr(alpha) if isinstance(alpha, float) else
                         type(alpha).__name__, expected="a finite one")
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _settings(notes: Mapping[str, str]) -> dict[str, Any]:
    """Those of PEFT's adapter for a UNet, without the prefix; empty where the file has none."""
    try:
        document = json.loads(notes.get(NOTES, "{}"))
    except (ValueError, RecursionError) as error:
        raise InputError("the LoRA's adapter metadata is not JSON", received=str(error)) from error
    settings = {str(key).removeprefix("unet."): value for key, value in document.items()} if isinstance(document, dict) else {}
    pattern = settings.get("alpha_pattern", {})
    if not isinstance(pattern, dict):
        raise InputError("the LoRA's adapter metadata is invalid", received=f"alpha_pattern that is {type(pattern).__name__}")
    return settings

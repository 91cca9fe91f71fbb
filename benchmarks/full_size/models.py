"""Names and shapes of the published tensors, from the modules that read them, built without memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from meshwright.export.models.reconstructor import Reconstructor, ReconstructorConfig
from meshwright.export.models.shap_e import ShapEDecoder, ShapEDecoderConfig


def shapes_of(config: dict[str, Any] | ReconstructorConfig) -> dict[str, tuple[int, ...]]:
    """Of the checkpoint that a published `config.json`, or the sizes of an InstantMesh model, belongs to."""
    with torch.device("meta"):
        module = _module(config)
    prefix = _prefix(config)
    # Releases of transformers since 5 leave out the outer name that the published files carry.
    return {name if name.startswith(prefix) or "projection" in name.split(".")[0] else prefix + name: tuple(tensor.shape)
            for name, tensor in module.state_dict().items()}


def nerf_shapes(config: ReconstructorConfig) -> dict[str, tuple[int, ...]]:
    """Of the NeRF variant of an InstantMesh model: the same planes, read by one network for density and colour."""
    shapes = {name: shape for name, shape in shapes_of(config).items() if not name.startswith("synthesizer.")}
    widths, outputs = (3 * config.channels, *[config.hidden] * 3), (*[config.hidden] * 3, 4)
    for number, width, outer in zip((0, 2, 4, 6), widths, outputs, strict=True):
        layer = f"synthesizer.decoder.net.{number}"
        shapes |= {f"{layer}.weight": (outer, width), f"{layer}.bias": (outer,)}
    return shapes


def _prefix(config: dict[str, Any] | ReconstructorConfig) -> str:
    kind = config.get("model_type", "") if isinstance(config, dict) else ""
    return {"clip_text_model": "text_model.", "clip_vision_model": "vision_model."}.get(kind, "")


def _module(config: dict[str, Any] | ReconstructorConfig) -> nn.Module:
    if isinstance(config, ReconstructorConfig):
        return Reconstructor(config)
    if "architectures" in config:
        return _clip(config)
    if config["_class_name"] == "ShapERenderer":
        width = config["d_hidden"]
        return ShapEDecoder(ShapEDecoderConfig(latent_width=config["d_latent"], hidden=width))
    import diffusers

    return getattr(diffusers, config["_class_name"]).from_config(config)


def _clip(config: dict[str, Any]) -> nn.Module:
    import transformers

    name = config["architectures"][0]
    kind = transformers.CLIPTextConfig if config["model_type"] == "clip_text_model" else transformers.CLIPVisionConfig
    options = {key: value for key, value in config.items() if key not in ("architectures", "torch_dtype", "transformers_version")}
    return getattr(transformers, name)(kind(**options))

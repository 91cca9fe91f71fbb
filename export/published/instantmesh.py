"""InstantMesh from published files: Zero123++ draws six views of a picture's object, and they are rebuilt (arXiv 2404.07191)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...engines.errors import CheckpointError
from ..components.image_encoder import image_encoder
from ..components.vae import FACTOR, ZERO123PLUS, reference_encoder, vae_encoder
from ..components.views_step import views_step
from ..models.reconstructor import Kind
from ..spec import ComponentSpec, Precision
from . import folders, sources, views
from .choices import BACKGROUNDS, ELEVATIONS, ELEVATIONS_1_1, InstantMeshChoices
from .model_index import ImageProcessor, check_zero123plus, image_processor, ramping_coefficients
from .plan import Plan, Source
from .schedules import Sampling
from .tokenizer import empty_prompt, tokenizer_document

# The mean and deviation that the reference encoder's graph has: rgb in [0, 1] becomes (rgb - 0.5) / 0.8.
REFERENCE_SCALE = ((0.5, 0.5, 0.5), (0.8, 0.8, 0.8))


@dataclass(frozen=True)
class InstantMeshPaths:
    """zero123plus : folder of the pipeline; unet : file of weights in place of its UNet's, or None; controlnet : folder or None.

    reconstructor : file of InstantMesh; variant : of it, "mesh" or "nerf"
    """

    zero123plus: Path
    reconstructor: Path
    variant: Kind
    unet: Path | None = None
    controlnet: Path | None = None


def instantmesh(paths: InstantMeshPaths, choices: InstantMeshChoices, precision: Precision) -> Plan:
    """What will be exported. Reads configurations and the names and shapes of tensors, no weights.

    Errors: CheckpointError for the first file that is not as it should be.
    """
    check_zero123plus(paths.zero123plus)
    parts = _Parts(paths, choices)
    notices = [*parts.sampling.notices, *(notice for source in parts.sources() for notice in source.network.notices),
               *_about_background(parts)]
    return Plan("instantmesh", parts.sources(), {}, _entries(parts, choices),
                asdict(choices) | {"elevations": parts.elevations, "background": parts.background},
                notices, 6 + views.FIELDS[parts.reconstructor.variant], lambda: _components(parts, choices, precision))


class _Parts:
    """Everything that is read, found but not loaded."""

    def __init__(self, paths: InstantMeshPaths, choices: InstantMeshChoices) -> None:
        root = paths.zero123plus
        self.white = paths.unet is not None
        self.background = choices.background or ("white" if self.white else "grey")
        self.text = folders.text_encoder(root / "text_encoder")
        self.vision = folders.vision_encoder(root / "vision_encoder")
        self.vae = folders.vae(root / "vae")
        self.unet = folders.unet(root / "unet", in_channels=views.CHANNELS, weights=paths.unet)
        self.controlnet = folders.controlnet(paths.controlnet) if paths.controlnet else None
        self.reconstructor = folders.instant_mesh(paths.reconstructor, paths.variant, view_size=choices.view_size)
        self.looks = image_processor(root / "feature_extractor_clip", self.vision.config["image_size"])
        self.reference = _reference_processor(root / "feature_extractor_vae")
        self.tokenizer = tokenizer_document(root / "tokenizer")
        self.ramp = ramping_coefficients(root, views.length_of(self.text))
        self.sampling = _views_sampling(root, choices.spacing)
        # The ramp of 1.1 starts at zero and that of 1.2 does not, which is all that tells the versions apart.
        default = ELEVATIONS_1_1 if self.ramp[0] == 0 else ELEVATIONS
        self.elevations = default if choices.elevations is None else choices.elevations

    def sources(self) -> list[Source]:
        """With the licence of each."""
        zero123plus = {"text encoder": self.text, "vision encoder": self.vision, "autoencoder": self.vae}
        unet = (Source("InstantMesh white-background UNet", self.unet, sources.WHITE_UNET) if self.white
                else Source("Zero123++ UNet", self.unet, sources.ZERO123PLUS))
        control = [Source("Zero123++ ControlNet", self.controlnet, sources.CONTROLNET)] if self.controlnet else []
        return [*(Source(f"Zero123++ {name}", network, sources.ZERO123PLUS) for name, network in zero123plus.items()),
                unet, *control, Source("InstantMesh reconstructor", self.reconstructor, sources.INSTANT_MESH)]

    def empty_states(self) -> Tensor:
        """(1, T, D) float32: the text encoder's states of the empty prompt, which both halves of guidance are made of."""
        ids = torch.tensor([empty_prompt(self.tokenizer, views.length_of(self.text))])
        with torch.inference_mode():
            return self.text.load()(ids).last_hidden_state.clone()


def _components(parts: _Parts, choices: InstantMeshChoices, precision: Precision) -> Iterator[ComponentSpec]:
    """One after the other, in the order of a run; none is kept here."""
    looks, states = parts.looks, parts.empty_states()
    yield image_encoder(parts.vision.load(), states, parts.ramp, mean=looks.mean, std=looks.std, size=looks.size, precision=precision)
    side, of_vae = parts.reference.size, views.autoencoder_precision(parts.vae, precision)
    yield reference_encoder(parts.vae.load(), side, posterior=choices.posterior, precision=of_vae)
    yield views_step(parts.unet.load(), views.latents_of(choices.view_size), (side // FACTOR, side // FACTOR), tuple(states.shape[1:]),
                     controlnet=parts.controlnet.load() if parts.controlnet else None, precision=precision)
    # For views that the user knows, which stay while the others are drawn.
    yield vae_encoder(parts.vae.load(), *views.grid_of(choices.view_size), ZERO123PLUS, precision=of_vae)
    yield from views.views_to_field(parts.vae, parts.reconstructor, precision)


def _entries(parts: _Parts, choices: InstantMeshChoices) -> dict[str, Any]:
    """What pack.json says of the recipe."""
    background = BACKGROUNDS[parts.background]
    return {
        "picture": {"background": background, "encoder": _resize(parts.looks), "reference": _resize(parts.reference)},
        "multiview": {"latent_shape": [1, views.CHANNELS, *views.latents_of(choices.view_size)], "schedule": dict(parts.sampling.schedule),
                      "steps": choices.steps, "guidance": choices.guidance, "unconditional": "encoder"},
        "views": views.views_entry(choices.view_size, parts.elevations, background),
        **views.field_entries(parts.reconstructor, choices.grid_resolution, choices.texture_from)}


def _about_background(parts: _Parts) -> list[str]:
    """What the user should know of the background that the UNet and the reconstructor were trained on."""
    whose, trained = ("InstantMesh's", "white") if parts.white else ("Zero123++'s own", "grey")
    told = ([] if parts.background == trained
            else [f"{whose} UNet was trained on {trained}, and is given {parts.background}, as --background says"])
    if not parts.white:
        told += ["without --unet the views are drawn by Zero123++'s own UNet, which was trained on grey 127; InstantMesh's reconstructor "
                 "was trained on white views, and its UNet (--unet) draws those"]
    return told


def _resize(looks: ImageProcessor) -> dict[str, Any]:
    return {"size": looks.size, "resample": looks.resample}


def _views_sampling(root: Path, spacing: str) -> Sampling:
    """The sampler, which must be one that `components.views_step` calculates."""
    found = views.unet_sampling(root, spacing)
    if found.clamp or found.schedule["prediction"] == "sample":
        raise CheckpointError(f"{root / 'scheduler'} requires what the step of Zero123++ does not support",
                              received="clip_sample" if found.clamp else "prediction_type sample",
                              expected="v_prediction or epsilon, not clipped", remedy="give it as Zero123++ publishes it")
    return found


def _reference_processor(folder: Path) -> ImageProcessor:
    looks = image_processor(folder)
    if (looks.mean, looks.std) != REFERENCE_SCALE or looks.size % FACTOR:
        raise CheckpointError(f"{folder} normalises pictures differently",
                              received=f"mean {looks.mean}, std {looks.std}, size {looks.size}",
                              expected=f"mean 0.5, std 0.8, a size that {FACTOR} divides", remedy="give it as Zero123++ publishes it")
    return looks

"""Sharp-It from published files: Shap-E's coarse shape, the refiner, and InstantMesh (arXiv 2412.02631)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..components.image_encoder import prior_image_encoder
from ..components.refiner import deep_refiner, refiner
from ..components.shap_e_decoder import shap_e_decoder
from ..components.shap_e_prior import shap_e_prior
from ..components.text_encoder import pooled_text_encoder, text_encoder
from ..components.vae import ZERO123PLUS, ZERO123PLUS_RAW, vae_encoder
from ..models.reconstructor import Kind
from ..spec import ComponentSpec, Precision
from . import folders, sources, views
from .choices import SharpItChoices
from .model_index import check_zero123plus, image_processor, kind_of_shap_e
from .plan import Plan, Source
from .schedules import shap_e_sampling
from .tokenizer import tokenizer_document

PRIOR_GUIDANCE = {"text": 15.0, "image": 3.0}
SCALINGS = {"target": ZERO123PLUS, "raw": ZERO123PLUS_RAW}
# From Shap-E's axes to the world's: a quarter turn about z, because its azimuths start a quarter turn later.
ROTATION = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
# Shap-E's renderer: a light from both sides along a direction in its axes.
LIGHT = {"ambient": 0.3, "diffuse": 0.7, "two_sided": True, "linear": True}
LIGHT_DIRECTION = (0.0939, -0.6395, -0.7630)


@dataclass(frozen=True)
class SharpItPaths:
    """refiner : folder of the UNet; zero123plus, shap_e : folders of pipelines; reconstructor : file of InstantMesh.

    variant : of the reconstructor, "mesh" or "nerf"
    """

    refiner: Path
    zero123plus: Path
    shap_e: Path
    reconstructor: Path
    variant: Kind


def sharp_it(paths: SharpItPaths, choices: SharpItChoices, precision: Precision) -> Plan:
    """What will be exported. Reads configurations and the names and shapes of tensors, no weights.

    Errors: CheckpointError for the first file that is not as it should be.
    """
    check_zero123plus(paths.zero123plus)
    parts = _Parts(paths, choices)
    tokenizers = {"tokenizer.json": tokenizer_document(paths.zero123plus / "tokenizer")}
    if parts.kind == "text":
        tokenizers["prior_tokenizer.json"] = tokenizer_document(paths.shap_e / "tokenizer", padding=0)
    notices = [*parts.prior_sampling.notices, *parts.sampling.notices,
               *(notice for source in parts.sources() for notice in source.network.notices)]
    return Plan("sharp-it", parts.sources(), tokenizers, _entries(parts, choices), asdict(choices), notices,
                9 + choices.deep_cache + views.FIELDS[parts.reconstructor.variant], lambda: _components(parts, choices, precision))


class _Parts:
    """Everything that is read, found but not loaded. kind : what Shap-E starts from, "text" or "image"."""

    def __init__(self, paths: SharpItPaths, choices: SharpItChoices) -> None:
        self.kind = kind_of_shap_e(paths.shap_e)
        self.text = folders.text_encoder(paths.zero123plus / "text_encoder")
        self.condition = (folders.projected_text_encoder(paths.shap_e / "text_encoder") if self.kind == "text"
                          else folders.image_encoder(paths.shap_e / "image_encoder"))
        self.looks = (None if self.kind == "text"
                      else image_processor(paths.shap_e / "image_processor", self.condition.config["image_size"]))
        self.prior = folders.prior(paths.shap_e / "prior")
        self.decoder = folders.shap_e_decoder(paths.shap_e)
        self.vae = folders.vae(paths.zero123plus / "vae")
        self.refiner = folders.unet(paths.refiner, in_channels=8)
        self.reconstructor = folders.instant_mesh(paths.reconstructor, paths.variant, view_size=choices.view_size)
        self.prior_sampling = shap_e_sampling(paths.shap_e / "scheduler", choices.sampler)
        self.sampling = views.unet_sampling(paths.zero123plus, choices.spacing)

    def sources(self) -> list[Source]:
        """With the licence of each."""
        shap_e = {"encoder": self.condition, "prior": self.prior, "decoder": self.decoder}
        zero123plus = {"text encoder": self.text, "autoencoder": self.vae}
        return [Source("Sharp-It refiner", self.refiner, sources.SHARP_IT),
                *(Source(f"Zero123++ {name}", network, sources.ZERO123PLUS) for name, network in zero123plus.items()),
                *(Source(f"Shap-E {name}", network, sources.SHAP_E) for name, network in shap_e.items()),
                Source("InstantMesh reconstructor", self.reconstructor, sources.INSTANT_MESH)]

    @property
    def states(self) -> tuple[int, int]:
        """Tokens and width of the prompt, as the refiner reads it."""
        return views.length_of(self.text), self.text.config["hidden_size"]

    @property
    def prior_states(self) -> tuple[int, int]:
        """The same of what the prior reads: one token of a text, or the patches of a picture."""
        config = self.condition.config
        if self.kind == "text":
            return 1, config["projection_dim"]
        return (config["image_size"] // config["patch_size"]) ** 2, config["hidden_size"]


def _components(parts: _Parts, choices: SharpItChoices, precision: Precision) -> Iterator[ComponentSpec]:
    """One after the other, in the order of a run; none is kept here."""
    yield text_encoder(parts.text.load(), views.length_of(parts.text), zero_padding=False, precision=precision)
    if parts.looks is None:
        yield pooled_text_encoder(parts.condition.load(), views.length_of(parts.condition), precision=precision)
    else:
        yield prior_image_encoder(parts.condition.load(), mean=parts.looks.mean, std=parts.looks.std, size=parts.looks.size,
                                  precision=precision)
    yield shap_e_prior(parts.prior.load(), parts.prior_states, parts.prior_sampling.clamp, precision=precision)
    yield from shap_e_decoder(parts.decoder.load(), precision=precision)
    yield vae_encoder(parts.vae.load(), *views.grid_of(choices.view_size), SCALINGS[choices.coarse_encoding],
                      posterior=choices.coarse_posterior, precision=views.autoencoder_precision(parts.vae, precision))
    drawing: dict[str, Any] = {"coarse_for_each": choices.uncond_coarse != "same", "scale_coarse": choices.scale_coarse,
                               "precision": precision}
    sizes = views.latents_of(choices.view_size), parts.states
    if choices.deep_cache:
        yield from deep_refiner(parts.refiner.load(), *sizes, parts.sampling.clamp, **drawing)
    else:
        yield refiner(parts.refiner.load(), *sizes, parts.sampling.clamp, **drawing)
    yield from views.views_to_field(parts.vae, parts.reconstructor, precision)


def _entries(parts: _Parts, choices: SharpItChoices) -> dict[str, Any]:
    """What pack.json says of the recipe."""
    prior = parts.prior.config
    shading = {"shading": shap_e_light()} if choices.shading == "shap-e" else {}
    latents = {"coarse_latents": "raw"} if choices.coarse_encoding == "raw" else {}
    return {
        "text": {"length": views.length_of(parts.text), "tokenizer": "tokenizer.json"}, **_condition_entry(parts),
        "prior": {"latent_shape": [1, prior["num_embeddings"], prior["embedding_dim"]], "schedule": dict(parts.prior_sampling.schedule),
                  "steps": choices.prior_steps, "guidance": prior_guidance(parts.kind, choices), "unconditional": "zeros"},
        "refiner": {"latent_shape": [1, views.CHANNELS, *views.latents_of(choices.view_size)], "schedule": dict(parts.sampling.schedule),
                    "steps": choices.steps, "guidance": choices.guidance, "unconditional": "empty",
                    "unconditional_coarse": choices.uncond_coarse, **latents},
        "coarse": {"resolution": choices.coarse_points - 1, "bound": 1.0, "rotation": [list(row) for row in ROTATION],
                   "scale": views.RADIUS / coarse_radius(choices.coarse_distance), "shrink": coarse_shrink(choices)},
        "views": {**views.views_entry(choices.view_size, choices.elevations, 1.0), **shading},
        **views.field_entries(parts.reconstructor, choices.grid_resolution, choices.texture_from)}


def _condition_entry(parts: _Parts) -> dict[str, Any]:
    """How a prompt, or a picture, is brought into the form that Shap-E's encoder takes."""
    if parts.looks is None:
        return {"prior_text": {"length": views.length_of(parts.condition), "tokenizer": "prior_tokenizer.json"}}
    return {"picture": {"background": 1.0, "encoder": {"size": parts.looks.size, "resample": parts.looks.resample}}}


def prior_guidance(kind: str, choices: SharpItChoices) -> float:
    """Of Shap-E's loop."""
    return PRIOR_GUIDANCE[kind] if choices.prior_guidance is None else choices.prior_guidance


def coarse_shrink(choices: SharpItChoices) -> float:
    """127/129 at Shap-E's 128 points: it reads the surface off a grid padded by one layer, as if that were no larger."""
    return (choices.coarse_points - 1) / (choices.coarse_points + 1) if choices.shrink else 1.0


def coarse_radius(distance: float) -> float:
    """How far the author's cameras are from the coarse object, in Shap-E's units: 3.7321 for a distance of 2."""
    return distance / 2 / math.tan(math.radians(views.FOV / 2))


def shap_e_light() -> dict[str, Any]:
    """"shading" of pack.json: Shap-E's light, turned into the world's axes."""
    turned = [sum(a * b for a, b in zip(row, LIGHT_DIRECTION, strict=True)) for row in ROTATION]
    return {**LIGHT, "direction": turned}

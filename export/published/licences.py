"""The licences of the published weights, and what they come to for a pack made of several.

What is said here is what the authors published beside their weights when this was written; it is not legal advice,
and the user's own copy may carry other terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Licence:
    """id : SPDX where there is one; commercial_use : "yes", "no" or "unknown"; notes : what a user should know besides."""

    id: str
    commercial_use: str
    notes: tuple[str, ...] = ()


_STABLE_DIFFUSION = ("The UNet, autoencoder and text encoder of Zero123++ derive from Stable Diffusion 2, whose own terms "
                     "(CreativeML Open RAIL++-M) were not examined here.")
_CLIP = "The CLIP encoder comes with the folder; that its own terms are those of the folder was not verified."

ZERO123PLUS = Licence("CC-BY-NC-4.0", "no", (
    "Zero123++: code Apache-2.0, weights CC-BY-NC-4.0, which forbids commercial use.", _STABLE_DIFFUSION, _CLIP))
CONTROLNET = Licence("CC-BY-NC-4.0", "no", (
    "ControlNets for Zero123++: taken to be under the terms of its weights, CC-BY-NC-4.0; their own pages were not verified.",))
SHARP_IT = Licence("Apache-2.0 AND CC-BY-NC-4.0", "no", (
    "The UNet of Sharp-It is tagged Apache-2.0, but derives from the weights of Zero123++, which are CC-BY-NC-4.0; "
    "the stricter of the two is assumed to hold.",))
INSTANT_MESH = Licence("Apache-2.0", "yes", (
    "InstantMesh: code and weights Apache-2.0, with the image encoder DINO inside, Apache-2.0.",))
WHITE_UNET = Licence("Apache-2.0 AND CC-BY-NC-4.0", "no", (
    "The white-background UNet of InstantMesh is published under Apache-2.0, but derives from the weights of Zero123++, "
    "which are CC-BY-NC-4.0; the stricter of the two is assumed to hold.",))
SHAP_E = Licence("MIT", "yes", ("Shap-E: code and weights MIT.", _CLIP))


def combine(licences: Iterable[Licence]) -> dict[str, Any]:
    """The "license" entry of pack.json: every licence has to be kept, and one "no" forbids commercial use of the whole."""
    licences = list(licences)
    uses = {licence.commercial_use for licence in licences}
    verdict = next((use for use in ("no", "unknown") if use in uses), "yes" if uses else "unknown")
    ids = dict.fromkeys(part for licence in licences for part in licence.id.split(" AND "))
    notes = dict.fromkeys(note for licence in licences for note in licence.notes)
    return {"id": " AND ".join(sorted(ids)) or "unknown", "commercial_use": verdict, "notes": list(notes)}


def source_fields(licence: Licence) -> Mapping[str, str]:
    """What a "sources" entry of pack.json says of its licence."""
    return {"license": licence.id, "commercial_use": licence.commercial_use}

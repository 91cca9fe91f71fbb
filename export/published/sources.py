"""Where checkpoints are, on disk or on the Hugging Face hub if the command line names them so, and the terms that they are under.

What is said here of licences is what the authors published beside their weights when this was written; it is not legal advice, and the
user's own copy may carry other terms.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engines.errors import CheckpointError

# ORG/NAME, or ORG/NAME/FILE with folders in between.
HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+(?:/[\w.-]+)*))?\Z")
INSTALL = "pip install huggingface_hub, or download it and give its path"


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


def resolve(text: str) -> Path:
    """An existing path, or else the local copy of what the hub has under ORG/NAME or ORG/NAME/FILE.

    Nothing is downloaded but what `text` names. Raises CheckpointError if there is neither.
    """
    path = Path(os.path.expanduser(text))
    try:
        if text and path.exists():
            return path
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise CheckpointError(f"{text} cannot be read", received=str(error)) from error
    found = HUB_ID.match(text)
    # "./a/b" and "../a" match the pattern of an id, but nobody means one by them.
    if found is None or text.startswith("."):
        raise CheckpointError(f"{text!r} does not exist", expected="a path, or ORG/NAME of the Hugging Face hub")
    return _download(text, found[1], found[2])


def describe(name: str, files: Iterable[str | os.PathLike[str]], licence: Licence) -> list[dict[str, Any]]:
    """Entries for "sources" of pack.json, one a file: which bytes the pack was made from, and under which licence.

    name : of the checkpoint, such as "openai/shap-e prior"
    """
    entries = []
    for path in map(Path, files):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        entries.append({"name": name, "file": path.name, "sha256": digest, "bytes": path.stat().st_size, **source_fields(licence)})
    return entries


def _download(text: str, repository: str, file: str | None) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(f"{text} does not exist, and huggingface_hub is not installed to look for it", remedy=INSTALL) from error
    try:
        if file is not None:
            return Path(huggingface_hub.hf_hub_download(repository, file))
        return Path(huggingface_hub.snapshot_download(repository))
    # No network, no such repository, no permission: the client has a class of its own for each.
    except Exception as error:
        raise CheckpointError(f"{text} does not exist, and could not be downloaded from the Hugging Face hub",
                              received=f"{type(error).__name__}: {error}", remedy="give the path of a copy on this machine") from error

"""Everything that an engine depends on: two keys that are equal stand for engines that can take each other's place.

A product whose engines are portable (TensorRT-RTX) leaves card and system out, and says itself whether an engine is valid on a card.
A driver is no part of any key: a newer one runs the engines of an older one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ModelFileError

# Of what we ourselves do between the model file and the engine; raise it when `tensorrt.network` adapts networks otherwise.
BUILDER = 1
NONE, ANY = "none", "any"
# What each part is called where a person reads why an engine is not used.
WORDS = {"product": "backend", "version": "its version", "device": "GPU", "capability": "compute capability",
         "system": "operating system", "axes": "ranges of open axes", "flags": "build flags", "builder": "meshwright's builder",
         "files": "model"}


@dataclass(frozen=True)
class Key:
    """files : SHA-256 of the model file and of its weights beside it, by name. axes : ranges of the open axes, by name, as
    "low:best:high".

    device : name of the GPU, "none" without one, "any" for a portable engine. capability : compute capability of the GPU, or those that
        a portable engine was built for. system : "any" for a portable engine
    """

    files: Mapping[str, str]
    product: str
    version: str
    device: str
    capability: str
    system: str
    axes: Mapping[str, str]
    flags: tuple[str, ...]
    builder: int = BUILDER

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of it all."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def accepts(self, other: Key) -> bool:
        """Whether an engine of the key `other` may serve: one of the same key, or a portable one that was built for other compute
        capabilities, if the product calls it valid."""
        return self == other or self.device == other.device == ANY and replace(other, capability=self.capability) == self

    def differences(self, other: Key) -> list[str]:
        """In words, what `self` has otherwise than `other`: "GPU L4, the engine's is RTX 4090"."""
        changed = [name for name in WORDS if getattr(self, name) != getattr(other, name)]
        return [_difference(name, getattr(self, name), getattr(other, name)) for name in changed]


def key_from(document: Mapping[str, Any]) -> Key:
    """A key as `dataclasses.asdict` and JSON left it. Raises TypeError, ValueError or KeyError for anything else."""
    return Key(**{**document, "files": dict(document["files"]), "axes": dict(document["axes"]), "flags": tuple(document["flags"])})


def model_hashes(model: Path) -> dict[str, str]:
    """SHA-256 of a model file, and of its weights in `MODEL.data` where there are any. ModelFileError if it is missing
    or cannot be read."""
    hashes = {}
    for path in (model, model.with_name(f"{model.name}.data")):
        try:
            if path.is_file():
                with path.open("rb") as stream:
                    hashes[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelFileError("the model file cannot be read", received=str(error)) from error
    if model.name not in hashes:
        raise ModelFileError("the model file is missing", received=str(model))
    return hashes


def _difference(name: str, here: Any, there: Any) -> str:
    if name in ("files", "axes", "flags", "builder"):
        return f"{WORDS[name]} changed"
    return f"{WORDS[name]} {here}, the engine's is {there}"

"""Where checkpoints are: on disk, or on the Hugging Face hub if the command line names them so."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...engines.errors import CheckpointError
from .licences import Licence, source_fields

# ORG/NAME, or ORG/NAME/FILE with folders in between.
HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+(?:/[\w.-]+)*))?\Z")
INSTALL = "pip install huggingface_hub, or download it and give its path"


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
        raise CheckpointError(f"{text} does not exist, and could not be had from the Hugging Face hub",
                              received=f"{type(error).__name__}: {error}", remedy="give the path of a copy on this machine") from error

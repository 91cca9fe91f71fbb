"""An export that is known in full before any weight is read, so that everything cheap is checked first."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..pack.writer import OnComponent, write_pack
from ..spec import ComponentSpec
from .folders import Network
from .sources import Licence, combine, describe

VERSION = "1"
# What shorter words for quality stand for. The authors say that 28 steps usually suffice; nobody has looked at what real weights make
# with the others. "full" is as published.
QUALITY = {"draft": {"views": {"steps": 12, "sampler": "dpm-solver++-2m", "guidance_interval": [0.3, 5.0]}, "prior": {"steps": 16},
                     "texture": 512},
           "standard": {"views": {"steps": 28}, "prior": {"steps": 32}}}


@dataclass(frozen=True)
class Source:
    """A network and the terms that it is under. name : as "sources" of pack.json calls it."""

    name: str
    network: Network
    licence: Licence


@dataclass(frozen=True)
class Plan:
    """What will be written.

    tokenizers : name in the pack -> document
    entries : what pack.json says of this recipe
    choices : what no published file tells, for the record
    notices : for the user, about slips in the files that were let pass
    count : of the components; components : makes each of them when it is asked for, and keeps none
    """

    recipe: str
    sources: Sequence[Source]
    tokenizers: Mapping[str, Mapping[str, Any]]
    entries: Mapping[str, Any]
    choices: Mapping[str, Any]
    notices: Sequence[str]
    count: int
    components: Callable[[], Iterator[ComponentSpec]]

    def check(self) -> None:
        """Compare the names and shapes of all tensors. Raises CheckpointError for the first network that is another."""
        for source in self.sources:
            source.network.check()

    def manifest(self, name: str) -> dict[str, Any]:
        """pack.json without what `write_pack` adds. Reads every source once, for its hash."""
        described = [entry for source in self.sources for entry in describe(source.name, source.network.files, source.licence)]
        return {"name": name, "version": VERSION, "recipe": self.recipe, "license": combine(s.licence for s in self.sources),
                "sources": described, **self.entries, "quality": QUALITY, "choices": dict(self.choices)}

    def write(self, path: str | os.PathLike[str], name: str, *, seed: int = 0, on_component: OnComponent | None = None,
              **options: Any) -> dict[str, Any]:
        """Write the pack; returns pack.json. `check` first: a network that is another one is found late here.

        options : further ones of `write_pack`

        Raises ExportError, and leaves nothing behind then.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = {}
            for file, document in self.tokenizers.items():
                files[file] = Path(folder) / file
                files[file].write_text(json.dumps(document, ensure_ascii=False), "utf-8")
            return write_pack(path, self.components(), self.manifest(name), files, seed=seed, on_component=on_component, **options)

"""Makes the meshes of a batch, one after the other, and gives their files as bytes: it writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...engines.errors import DeviceLost, MeshwrightError
from ..assets.asset import asset_files
from ..assets.options import AssetOptions
from ..files.gltf.encoding import png_bytes
from ..files.writer import companions
from ..geometry.topology import is_watertight
from ..images import MATTES
from ..pipeline import Pipeline
from ..recipes.routes import choose_route, drawing_component
from ..request import Request
from .lines import Line
from .manifest import FAILED, MADE
from .pictures import gif_bytes

# A result: its entry in the manifest, and its files by name.
Result = tuple[dict[str, Any], dict[str, bytes]]
# A line, and the hash of its request.
Work = tuple[Line, str]
OF_PICTURE = ("image", "matte", "route")


@dataclass(frozen=True)
class BatchSettings:
    """What all lines of a batch have in common.

    pack : name or folder
    engine : arguments of `Pipeline.open`: backend, threads, memory, ... They change how a mesh is computed, not which one is asked for.
    request : options of `Request.load` for lines that do not say theirs; "matte" and "route" are for lines with a picture
    assets : what an engine takes is written in place of the plain mesh; its `faces` and `texture` go before those of `request`
    made_for, strict : as of `Generation.asset`
    lora, lora_scale : of the network that draws the views
    format : the ending of the meshes: "glb", "obj", "ply" or "stl"
    turntable : also a GIF of the mesh as it turns around
    """

    pack: str = "props"
    engine: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    assets: AssetOptions | None = None
    made_for: str = ""
    strict: bool = True
    lora: str | None = None
    lora_scale: float = 1.0
    format: str = "glb"
    turntable: bool = False

    def options_of(self, line: Line) -> dict[str, Any]:
        """The options of a line's request; its own go before."""
        assets = {} if self.assets is None else self.assets.of_the_request(self.request.get("textured", True))
        options = {**self.request, **assets, **line.options}
        return options if "image" in options else {name: value for name, value in options.items() if name not in OF_PICTURE}

    def files_of(self, line: Line) -> list[str]:
        """The names of all files that the line's result may have, the mesh first. InputError if the format cannot hold the assets."""
        path = Path(f"{line.name}.{self.format}")
        mesh = [path, *companions(path)] if self.assets is None else asset_files(path, self.assets)
        return [str(each) for each in mesh] + [f"{line.name}.png"] + ([f"{line.name}.gif"] if self.turntable else [])

    def request_hash(self, line: Line, pack_hash: str) -> str:
        """Hexadecimal SHA-256 of all that the line's result depends on. OSError if a picture cannot be read."""
        options = {name: _hashed(name, value) for name, value in self.options_of(line).items()}
        said = {"prompt": line.prompt, "options": options, "pack": pack_hash, "made_for": self.made_for, "format": self.format,
                "assets": None if self.assets is None else asdict(self.assets), "turntable": self.turntable,
                "lora": None if self.lora is None else [_file_hash(self.lora), self.lora_scale]}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Maker:
    """The meshes of lines, by one open pipeline."""

    def __init__(self, pipe: Pipeline, settings: BatchSettings) -> None:
        self.pipe, self.settings = pipe, settings
        self._lora_on = ""  # the component that has the LoRA

    def result(self, line: Line, request: str) -> Result:
        """The files of a line, or why there are none. DeviceLost: nothing more can be made in this process."""
        entry = {**entry_of(line), "request": request}
        started = time.perf_counter()
        try:
            told, files = self._made(line)
        except DeviceLost:
            raise
        except MeshwrightError as error:
            return {**entry, "state": FAILED, "error": str(error)}, {}
        except MemoryError:
            return {**entry, "state": FAILED, "error": "out of memory"}, {}
        except Exception as error:  # a fault of ours costs one line
            return {**entry, "state": FAILED, "error": f"internal error: {type(error).__name__}: {error}"}, {}
        return {**entry, "state": MADE, "seconds": round(time.perf_counter() - started, 3), **told}, files

    def _made(self, line: Line) -> Result:
        settings = self.settings
        request = Request.load(line.prompt, **settings.options_of(line))
        self._put_lora_on(request)
        made = self.pipe.generate(request)
        asset = None if settings.assets is None else made.asset(settings.assets, made_for=settings.made_for, strict=settings.strict)
        mesh = made.mesh if asset is None else asset.levels[0].mesh
        files = {str(path): data for path, data in (asset or made).encode(Path(f"{line.name}.{settings.format}")).items()}
        files[f"{line.name}.png"] = png_bytes((asset or made).preview())
        if settings.turntable:
            files[f"{line.name}.gif"] = gif_bytes(mesh)
        told = {"mesh": {"vertices": len(mesh.vertices), "faces": len(mesh.faces), "watertight": is_watertight(made.mesh)},
                "notices": [*made.notices, *(() if asset is None else asset.notices)], **made.extras}
        return told if asset is None else {**told, "asset": asset.describe()}, files

    def _put_lora_on(self, request: Request) -> None:
        """On the network that draws the views of this request."""
        if self.settings.lora is None:
            return
        drawing = drawing_component(choose_route(request, self.pipe.pack.manifest))
        if drawing != self._lora_on:
            self.pipe.unload_lora()
            self._lora_on = ""
            self.pipe.load_lora(self.settings.lora, self.settings.lora_scale, drawing)
            self._lora_on = drawing


def entry_of(line: Line) -> dict[str, Any]:
    """What the manifest says of every line, made or not."""
    picture = {} if "image" not in line.options else {"image_file": os.path.basename(line.options["image"])}
    return {"name": line.name, "line": line.number, "prompt": line.prompt, **picture, "seed": line.options["seed"]}


def names_file(option: str, value: Any) -> bool:
    """Whether that value of an option is the path of a file."""
    return option in ("image", "control") or option == "matte" and value not in MATTES


def _hashed(name: str, value: Any) -> Any:
    """What stands for an option: a file's contents."""
    return [_file_hash(value)] if names_file(name, value) else value


def _file_hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Textures of a glTF file: pictures, samplers, and where they lie (Khronos specification 2.0, section 3.8; KHR_texture_transform)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....engines.errors import InputError
from ...images.pictures import picture_of
from ..scene.notices import Notices, quoted
from ..scene.surfaces import MAX_TEXELS, MAX_TILE, small
from .document import Document, Unreachable

# Extensions of a texture that name the same picture in another format.
OTHER_FORMATS = ("EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu", "MSFT_texture_dds")
UNREAD = {b"\xabKTX": "KTX", b"DDS ": "DDS"}
NEAREST = 9728
WRAPS = {10497: "repeat", 33648: "mirror", 33071: "clamp"}


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture, and how it is laid on.

    pixels : (h, w, 3) uint8 sRGB
    alpha : its least and its most, 0 to 1
    wrap, crisp : as in `Material`
    texcoord : the number of the TEXCOORD attribute; transform : (2, 3) float64, applied to those coordinates
    """

    pixels: np.ndarray
    alpha: tuple[float, float]
    wrap: tuple[str, str]
    crisp: bool
    texcoord: int
    transform: np.ndarray


class Textures:
    """Reads textures; each picture is decoded once, and kept no larger than it can be shown."""

    def __init__(self, document: Document, notices: Notices) -> None:
        self.document, self.notices = document, notices
        # Materials that emit light have pictures of their own, which are sums.
        count = len(document.root.get("images", ())) + sum("emissiveTexture" in each for each in document.root.get("materials", ()))
        self._most = min(MAX_TILE, math.isqrt(MAX_TEXELS // max(1, count)))
        # Of each image, what came of it: pixels and alpha, or why there are none.
        self._pictures: dict[int, tuple[np.ndarray, tuple[float, float]] | str] = {}

    def texture(self, info: dict[str, Any] | None, about: str) -> Texture | None:
        """What a textureInfo says; None, with a notice about `about`, where its picture cannot be had."""
        if info is None:
            return None
        entry = self.document.entry("textures", info["index"])
        found = self._picture(entry, about)
        if found is None:
            return None
        sampler = self.document.entry("samplers", entry["sampler"]) if "sampler" in entry else {}
        across, down = (WRAPS.get(sampler.get(key, 10497), "repeat") for key in ("wrapS", "wrapT"))
        moved = info.get("extensions", {}).get("KHR_texture_transform", {})
        texcoord = int(moved.get("texCoord", info.get("texCoord", 0)))
        return Texture(*found, (across, down), sampler.get("magFilter") == NEAREST, texcoord, _transform(moved))

    def _picture(self, texture: dict[str, Any], about: str) -> tuple[np.ndarray, tuple[float, float]] | None:
        """The first of the texture's pictures that can be decoded."""
        extensions = texture.get("extensions", {})
        sources = [extensions[name].get("source") for name in OTHER_FORMATS if name in extensions] + [texture.get("source")]
        reasons = []
        for source in (each for each in sources if each is not None):
            if source not in self._pictures:
                self._pictures[source] = self._decoded(source)
            found = self._pictures[source]
            if not isinstance(found, str):
                return found
            reasons.append(found)
        self.notices.add(f"a texture is left out: {reasons[0] if reasons else 'it names no picture'}", about)
        return None

    def _decoded(self, source: int) -> tuple[np.ndarray, tuple[float, float]] | str:
        entry = self.document.entry("images", source)
        uri = str(entry.get("uri", ""))
        name = f"picture {quoted(entry.get('name') or (source if not uri or uri[:5].lower() == 'data:' else uri))}"
        try:
            data = bytes(self.document.view(entry["bufferView"])[0]) if "bufferView" in entry else self.document.uri_bytes(entry["uri"])
            if data[:4] in UNREAD:
                return f"{name} is a {UNREAD[data[:4]]} file, which is not read here"
            pixels = picture_of(data, name).pixels
        except Unreachable as error:
            return str(error)
        except InputError as error:
            return f"{error.subject} ({error.received})"
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else np.array([255], np.uint8)
        return small(np.ascontiguousarray(pixels[..., :3]), self._most), (int(alpha.min()) / 255, int(alpha.max()) / 255)


def _transform(moved: dict[str, Any]) -> np.ndarray:
    """(2, 3): T R S of KHR_texture_transform.

    It turns as the extension's worked example does (offset 0 1, a quarter turn, scale 0.5: the lower left quarter), and so do the
    importers; the shader code printed beside that example turns the other way.
    """
    angle = float(moved.get("rotation", 0))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    scale = np.array(moved.get("scale", (1, 1)), np.float64).reshape(2)
    return np.column_stack([turn * scale, np.array(moved.get("offset", (0, 0)), np.float64).reshape(2)])

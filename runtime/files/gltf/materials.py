"""Base colours of a glTF file's materials, and their textures (Khronos specification 2.0, sections 3.8 and 3.9; KHR_texture_transform;
specular-glossiness).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from ....engines.errors import InputError
from ...images.picture_decoding import MAX_PIXELS
from ...images.pictures import picture_of
from ..scene.notices import Notices, quoted
from ..scene.surfaces import MAX_TEXELS, MAX_TILE, WHITE, Material, downscaled, summed
from .document import Document, Unreachable

# Extensions of a texture that name the same picture in another format.
OTHER_FORMATS = ("EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu", "MSFT_texture_dds")
KTX2, KTX2_HEADER = b"\xabKTX 20", 80
UNREAD = {KTX2[:4]: "KTX", b"DDS ": "DDS"}
NEAREST = 9728
WRAPS = {10497: "repeat", 33648: "mirror", 33071: "clamp"}
SPECULAR_GLOSSINESS = "KHR_materials_pbrSpecularGlossiness"
TRANSMISSION = {"KHR_materials_transmission": "transmissionFactor", "KHR_materials_diffuse_transmission": "diffuseTransmissionFactor"}


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture, and how it is laid on.

    pixels : (h, w, 3) uint8 sRGB
    alpha : its least and its most, 0 to 1
    wrap, nearest : as in `Material`
    texcoord : the number of the TEXCOORD attribute; transform : (2, 3) float64, applied to those coordinates
    """

    pixels: np.ndarray
    alpha: tuple[float, float]
    wrap: tuple[str, str]
    nearest: bool
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
            basis = data.startswith(KTX2) and len(data) >= KTX2_HEADER and find_spec("alktx2") is not None
            if data[:4] in UNREAD and not basis:
                return f"{name} is a {UNREAD[data[:4]]} file, which is not supported"
            pixels = picture_of(_png_of_ktx2(data, name) if basis else data, name).pixels
        except Unreachable as error:
            return str(error)
        except InputError as error:
            return f"{error.subject} ({error.received})"
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else np.array([255], np.uint8)
        return downscaled(np.ascontiguousarray(pixels[..., :3]), self._most), (int(alpha.min()) / 255, int(alpha.max()) / 255)


def _png_of_ktx2(data: bytes, name: str) -> bytes:
    """The first level of a KTX2 file of Basis Universal, called `name`. InputError for one that cannot be decoded."""
    import alktx2

    width, height = struct.unpack_from("<II", data, 20)
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(f"{name} is too large", received=f"{width} x {height} pixels")
    try:
        return bytes(alktx2.decode_ktx2_to_bytes(data, format="png")[0])
    except Exception as error:  # its errors have no class in common
        raise InputError(f"{name} cannot be decoded", received=str(error)) from error


def _transform(moved: dict[str, Any]) -> np.ndarray:
    """(2, 3): T R S of KHR_texture_transform.

    It turns as the extension's worked example does (offset 0 1, a quarter turn, scale 0.5: the lower left quarter), and so do the
    importers; the shader code printed beside that example turns the other way.
    """
    angle = float(moved.get("rotation", 0))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    scale = np.array(moved.get("scale", (1, 1)), np.float64).reshape(2)
    return np.column_stack([turn * scale, np.array(moved.get("offset", (0, 0)), np.float64).reshape(2)])


@dataclass(frozen=True, eq=False)
class BaseColor:
    """The base colour of a glTF material.

    material : its colour and picture
    texcoord : the number of the TEXCOORD attribute for the picture; transform : (2, 3) float64, applied to those coordinates
    takes_vertex_colors : whether vertex colours multiply it
    min_alpha : vertex colours with less alpha than this make something transparent
    visible : False for a material that is wholly transparent
    """

    material: Material
    texcoord: int = 0
    transform: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    takes_vertex_colors: bool = True
    min_alpha: float = 0.0
    visible: bool = True


class Materials:
    """Reads materials, each once."""

    def __init__(self, document: Document, notices: Notices) -> None:
        self.document, self.notices = document, notices
        self._textures = Textures(document, notices)
        self._read: dict[int, BaseColor] = {}

    def name(self, index: int | None) -> str:
        """A material as messages call it."""
        if index is None:
            return "no material"
        return f"material {quoted(self.document.entry('materials', index).get('name', index))}"

    def base_color(self, index: int | None) -> BaseColor:
        """Of a material by its index; None stands for primitives without one."""
        if index is None:
            return BaseColor(WHITE)
        if index not in self._read:
            self._read[index] = self._base_color(self.document.entry("materials", index), self.name(index))
        return self._read[index]

    def _base_color(self, entry: dict[str, Any], name: str) -> BaseColor:
        extensions = entry.get("extensions", {})
        source, names = entry.get("pbrMetallicRoughness", {}), ("baseColorFactor", "baseColorTexture")
        if SPECULAR_GLOSSINESS in extensions:
            source, names = extensions[SPECULAR_GLOSSINESS], ("diffuseFactor", "diffuseTexture")
            self.notices.add(f"only the diffuse colour of {SPECULAR_GLOSSINESS} is read", name)
        factor = np.array(source.get(names[0], (1, 1, 1, 1)), np.float32).reshape(4).clip(0, 1)
        texture = self._textures.texture(source.get(names[1]), name)
        base = self._with_emission(_textured(factor[:3], texture), entry, name)
        return self._with_alpha(base, entry, float(factor[3]), texture, name)

    def _with_emission(self, base: BaseColor, entry: dict[str, Any], name: str) -> BaseColor:
        """The light that a material emits on its own, added to its colour."""
        extensions = entry.get("extensions", {})
        strength = float(extensions.get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1))
        light = strength * np.array(entry.get("emissiveFactor", (0, 0, 0)), np.float32).reshape(3).clip(0, 1)
        if "KHR_materials_unlit" in extensions or not light.any():
            return base
        texture = self._textures.texture(entry.get("emissiveTexture"), name)
        if texture is None and "emissiveTexture" in entry:
            return base
        self.notices.add("emitted light is shown as base colour", name)
        emission = _textured(light, texture)
        if not base.material.color.any():
            return replace(emission, takes_vertex_colors=False)
        if texture is not None and base.material.picture is not None and not _lined_up(base, emission):
            self.notices.add("an emissive texture does not line up with the base colour texture and is left out", name)
            return base
        return replace(base if texture is None else emission, material=summed(base.material, emission.material))

    def _with_alpha(self, base: BaseColor, entry: dict[str, Any], alpha: float, texture: Texture | None, name: str) -> BaseColor:
        """Judges how much of a material, whose factor and texture have that alpha, is transparent."""
        for extension, factor in TRANSMISSION.items():
            if float(entry.get("extensions", {}).get(extension, {}).get(factor, 0)) > 0:
                self.notices.add("a transmissive material is shown opaque", name)
        mode = entry.get("alphaMode", "OPAQUE")
        if mode == "OPAQUE":
            return base
        low, high = (alpha * each for each in ((1.0, 1.0) if texture is None else texture.alpha))
        cutoff = float(entry.get("alphaCutoff", 0.5)) if mode == "MASK" else 1
        if high < cutoff if mode == "MASK" else high <= 0:
            return replace(base, visible=False)
        if low < cutoff:
            self.notices.add("a transparent material is shown opaque", name)
        return replace(base, min_alpha=min(1.0, cutoff / max(low, 1e-6)))


def _textured(color: np.ndarray, texture: Texture | None) -> BaseColor:
    if texture is None:
        return BaseColor(Material(color))
    return BaseColor(Material(color, texture.pixels, texture.wrap, texture.nearest), texture.texcoord, texture.transform)


def _lined_up(first: BaseColor, second: BaseColor) -> bool:
    """Whether the pictures of two base colours lie over each other."""
    return (first.texcoord == second.texcoord and first.material.wrap == second.material.wrap
            and np.array_equal(first.transform, second.transform))

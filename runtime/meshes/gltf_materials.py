"""Base colours of a glTF file's materials (Khronos specification 2.0, section 3.9; KHR_texture_transform; specular-glossiness)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .gltf_document import Document
from .gltf_textures import Texture, Textures
from .notices import Notices, quoted
from .surfaces import WHITE, Material, summed

GLOSSY = "KHR_materials_pbrSpecularGlossiness"
GLASS = {"KHR_materials_transmission": "transmissionFactor", "KHR_materials_diffuse_transmission": "diffuseTransmissionFactor"}


@dataclass(frozen=True, eq=False)
class Paint:
    """What a primitive shows.

    material : its colour and picture
    coordinates : the number of the TEXCOORD that places the picture; transform : (2, 3) float64, what it goes through first
    tinted : whether vertex colours multiply it
    opaque : whether their alpha is ignored
    visible : False where all of it is clear
    """

    material: Material
    coordinates: int = 0
    transform: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    tinted: bool = True
    opaque: bool = True
    visible: bool = True


class Materials:
    """Reads materials, each once."""

    def __init__(self, document: Document, notices: Notices) -> None:
        self.document, self.notices = document, notices
        self._textures = Textures(document, notices)
        self._paints: dict[int, Paint] = {}

    def name(self, index: int | None) -> str:
        """A material as messages call it."""
        if index is None:
            return "no material"
        return f"material {quoted(self.document.entry('materials', index).get('name', index))}"

    def paint(self, index: int | None) -> Paint:
        """What primitives of a material show; None for those without one."""
        if index is None:
            return Paint(WHITE)
        if index not in self._paints:
            self._paints[index] = self._paint(self.document.entry("materials", index), self.name(index))
        return self._paints[index]

    def _paint(self, entry: dict[str, Any], name: str) -> Paint:
        extensions = entry.get("extensions", {})
        base, names = entry.get("pbrMetallicRoughness", {}), ("baseColorFactor", "baseColorTexture")
        if GLOSSY in extensions:
            base, names = extensions[GLOSSY], ("diffuseFactor", "diffuseTexture")
            self.notices.add(f"of {GLOSSY} the diffuse colour alone is shown", name)
        factor = np.array(base.get(names[0], (1, 1, 1, 1)), np.float32).reshape(4).clip(0, 1)
        texture = self._textures.texture(base.get(names[1]), name)
        glowing = self._glowing(Paint(Material(factor[:3])) if texture is None else _painted(factor[:3], texture), entry, name)
        return self._judged(glowing, entry, float(factor[3]), texture, name)

    def _glowing(self, paint: Paint, entry: dict[str, Any], name: str) -> Paint:
        """The light that a material emits on its own, added to its colour."""
        extensions = entry.get("extensions", {})
        strength = float(extensions.get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1))
        light = strength * np.array(entry.get("emissiveFactor", (0, 0, 0)), np.float32).reshape(3).clip(0, 1)
        if "KHR_materials_unlit" in extensions or not light.any():
            return paint
        texture = self._textures.texture(entry.get("emissiveTexture"), name)
        if texture is None and "emissiveTexture" in entry:
            return paint
        self.notices.add("the light that a material emits is shown as its colour", name)
        glow = Paint(Material(light)) if texture is None else _painted(light, texture)
        if not paint.material.color.any():
            return replace(glow, tinted=False)
        if texture is not None and paint.material.picture is not None and not _placed_alike(paint, glow):
            self.notices.add("the picture of the light that a material emits lies otherwise than that of its colour: it is left out", name)
            return paint
        placed = paint if texture is None else glow
        return replace(placed, material=summed(paint.material, glow.material))

    def _judged(self, paint: Paint, entry: dict[str, Any], alpha: float, texture: Texture | None, name: str) -> Paint:
        """The paint, and a notice where something of it would have to be seen through."""
        for extension, factor in GLASS.items():
            if float(entry.get("extensions", {}).get(extension, {}).get(factor, 0)) > 0:
                self.notices.add("a material that lets light through is shown opaque", name)
        mode = entry.get("alphaMode", "OPAQUE")
        if mode == "OPAQUE":
            return paint
        least, most = (alpha * each for each in ((1, 1) if texture is None else texture.alpha))
        cutoff = float(entry.get("alphaCutoff", 0.5)) if mode == "MASK" else 1
        if most < cutoff if mode == "MASK" else most <= 0:
            return replace(paint, visible=False)
        if least < cutoff:
            self.notices.add("what is transparent is shown opaque", name)
        return replace(paint, opaque=False)


def _painted(color: np.ndarray, texture: Texture) -> Paint:
    return Paint(Material(color, texture.pixels, texture.wrap, texture.crisp), texture.coordinates, texture.transform)


def _placed_alike(first: Paint, second: Paint) -> bool:
    """Whether the pictures of two paints lie over each other."""
    return (first.coordinates == second.coordinates and first.material.wrap == second.material.wrap
            and np.array_equal(first.transform, second.transform))

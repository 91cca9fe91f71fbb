"""The options that each engine takes without a further hand. docs/assets.md says how each of them was checked."""

from __future__ import annotations

from .options import AssetOptions

PRESETS = {
    "unreal": AssetOptions(faces=10_000, texture=1024, lods=(0.5, 0.25, 0.125), collision="hulls", real_size=True, origin="bottom",
                           naming="unreal"),
    "unity": AssetOptions(faces=10_000, texture=1024, lods=(0.5, 0.25, 0.125), collision="hull", real_size=True, origin="bottom",
                          naming="unity"),
    "godot": AssetOptions(faces=10_000, texture=1024, collision="hulls", real_size=True, origin="bottom", naming="godot"),
    "roblox": AssetOptions(faces=10_000, texture=1024, real_size=True, origin="center"),
    "blender": AssetOptions(texture=2048, real_size=True, origin="bottom"),
    "web": AssetOptions(faces=5_000, texture=1024, real_size=True, origin="bottom", texture_format="jpeg"),
}

"""The sizes of an InstantMesh checkpoint, read off the shapes of its tensors."""

import math
import re
from collections.abc import Mapping
from typing import Protocol

from ...engines.errors import ExportError
from .reconstructor import Kind, ReconstructorConfig

# No tensor tells how the published models divide their width among heads: 768 in 12 and 1024 in 16.
HEAD_SIZE = 64
VIEW_SIZE = 320


class Shaped(Protocol):
    """A tensor, or no more than the header of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def reconstructor_config(tensors: Mapping[str, Shaped], *, view_size: int = VIEW_SIZE) -> tuple[ReconstructorConfig, Kind]:
    """The sizes, and whether the planes hold a surface ("mesh") or a radiance field ("nerf").

    tensors : by their published names, without the prefix `lrm_generator.`
    view_size : pixels; a file does not tell it
    Only what is needed here is looked at: load strictly to find what is missing or has another shape.
    Errors: ExportError where this is no checkpoint of InstantMesh.
    """
    kind = kind_of(tensors)
    patches = _shape(tensors, "encoder.model.embeddings.patch_embeddings.projection.weight", 4)
    positions = _shape(tensors, "encoder.model.embeddings.position_embeddings", 3)
    queries = _shape(tensors, "transformer.pos_embed", 3)
    deconv = _shape(tensors, "transformer.deconv.weight", 4)
    first = _shape(tensors, f"synthesizer.decoder.{'net_sdf' if kind == 'mesh' else 'net'}.0.weight", 2)
    config = ReconstructorConfig(
        view_size=view_size, patch=patches[2], position_grid=math.isqrt(positions[1] - 1),
        encoder_width=patches[0], encoder_heads=max(patches[0] // HEAD_SIZE, 1),
        encoder_depth=_depth(tensors, "encoder.model.encoder.layer"),
        width=queries[2], heads=max(queries[2] // HEAD_SIZE, 1), depth=_depth(tensors, "transformer.layers"),
        tokens=math.isqrt(queries[1] // 3), upsample=deconv[2], channels=deconv[1], hidden=first[0])
    return config, kind


def kind_of(tensors: Mapping[str, Shaped]) -> Kind:
    """Which of the two decoders the checkpoint holds. Errors: ExportError if it holds neither."""
    if any(name.startswith("synthesizer.decoder.net_sdf.") for name in tensors):
        return "mesh"
    if any(name.startswith("synthesizer.decoder.net.") for name in tensors):
        return "nerf"
    raise ExportError("the checkpoint has no decoder of InstantMesh",
                      expected="tensors synthesizer.decoder.net_sdf.* (mesh) or synthesizer.decoder.net.* (NeRF)",
                      remedy="give instant_mesh_*.ckpt or instant_nerf_*.ckpt as published")


def _shape(tensors: Mapping[str, Shaped], name: str, axes: int) -> tuple[int, ...]:
    shape = tuple(tensors[name].shape) if name in tensors else None
    if shape is None or len(shape) != axes:
        raise ExportError(f"the checkpoint's tensor {name}", received="none" if shape is None else f"shape {shape}",
                          expected=f"one with {axes} axes", remedy="give instant_mesh_*.ckpt or instant_nerf_*.ckpt as published")
    return shape


def _depth(tensors: Mapping[str, Shaped], stack: str) -> int:
    numbers = (re.match(rf"{re.escape(stack)}\.(\d+)\.", name) for name in tensors)
    return max((int(found[1]) + 1 for found in numbers if found), default=0)

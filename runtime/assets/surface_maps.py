"""Textures of what a light mesh has lost: the normals of the dense surface, and how much of the surroundings' light reaches it."""

from __future__ import annotations

import numpy as np

from ..geometry.creases import never_zero, split_at_creases
from ..geometry.distance import spread_directions
from ..geometry.mesh import Mesh, normalized
from ..geometry.raycast import Scene
from ..texture.atlas import Atlas
from .look import BEHIND, Source, painted

OCCLUSION_SIDE = 256  # texels; light changes slowly, and each texel costs RAYS rays
RAYS = 48
SIGHT = 0.5  # of the longest side: what is further away hides nothing


def tangents(mesh: Mesh) -> np.ndarray:
    """(n, 4) float32: unit tangents along growing u, perpendicular to the normals, and the sign w of the bitangent w (N x T).

    As MikkTSpace has them for meshes whose vertices are split where normals or uvs differ: those of the corners, projected and weighted by
    their angles. The bitangent points up in the picture, so that a map of Y+ fits, as glTF wants.

    mesh : with uvs and normals; no vertex is shared by faces that lie mirrored in the texture, as none of `unwrap` is
    """
    assert mesh.uvs is not None and mesh.normals is not None
    corners, normals = mesh.triangles().astype(np.float64), mesh.normals[mesh.faces].astype(np.float64)
    uvs = (mesh.uvs * np.array([1, -1], np.float32))[mesh.faces].astype(np.float64)
    (u1, v1), (u2, v2) = (uvs[:, 1] - uvs[:, 0]).T, (uvs[:, 2] - uvs[:, 0]).T
    sign = np.where(u1 * v2 - u2 * v1 < 0, -1.0, 1.0)
    along = sign[:, None] * (v2[:, None] * (corners[:, 1] - corners[:, 0]) - v1[:, None] * (corners[:, 2] - corners[:, 0]))

    def flat(vectors: np.ndarray) -> np.ndarray:
        return normalized(vectors - normals * np.einsum("mcj,mcj->mc", vectors, normals)[..., None])

    following, previous = flat(np.roll(corners, -1, axis=1) - corners), flat(np.roll(corners, 1, axis=1) - corners)
    angles = np.arccos(np.clip(np.einsum("mcj,mcj->mc", following, previous), -1, 1))
    shares = flat(np.repeat(along[:, None], 3, axis=1)) * angles[..., None]
    count, index = len(mesh.vertices), mesh.faces.ravel()
    sums = np.stack([np.bincount(index, shares[..., axis].ravel(), count) for axis in range(3)], axis=1)
    # Where nothing is known, any direction that is perpendicular to the normal.
    least = np.eye(3)[np.abs(mesh.normals).argmin(axis=1)]
    other = least - mesh.normals * np.einsum("nj,nj->n", least, mesh.normals)[:, None]
    unit = normalized(np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 1e-9, sums, other))
    signs = np.ones(count)
    signs[index] = np.repeat(sign, 3)
    return np.concatenate([unit, signs[:, None]], axis=1).astype(np.float32)


def normal_map(mesh: Mesh, tangent: np.ndarray, dense: Mesh, side: int) -> np.ndarray:
    """(side, side, 3) uint8: the normals of a dense surface in the tangent space of a light one, Y+.

    mesh : with uvs and normals; tangent : its `tangents`
    dense : vertices and faces, welded; its edges that are sharp stay so
    """
    sharp = split_at_creases(dense)
    source = Source(sharp)

    def values(atlas: Atlas) -> np.ndarray:
        hits = source.hits(atlas.position, atlas.normal)
        assert sharp.normals is not None
        wanted = normalized(_at(sharp.normals, sharp.faces[hits.face], hits.weights()))
        rows = mesh.faces[atlas.face]
        along = normalized(_at(tangent[:, :3], rows, atlas.weights))
        across = np.cross(atlas.normal, along) * tangent[rows[:, 0], 3:]
        # What a shader multiplies with: the interpolated normal and tangent, which are only nearly perpendicular.
        lean = np.einsum("kj,kj->k", along, atlas.normal)
        on_along, on_normal = (np.einsum("kj,kj->k", wanted, axis) for axis in (along, atlas.normal))
        rest = np.maximum(1 - lean**2, 1e-6)
        local = np.stack([(on_along - lean * on_normal) / rest, np.einsum("kj,kj->k", wanted, across) / rest,
                          (on_normal - lean * on_along) / rest], axis=1)
        local[local[:, 2] <= 0] = (0, 0, 1)  # the surface below faces away: no map can say so
        return 0.5 + 0.5 * normalized(local)

    return painted(mesh, side, values)


def occlusion_map(mesh: Mesh, dense: Mesh, side: int) -> np.ndarray:
    """(s, s) uint8, s at most 256: the share of the light from all around, weighted by its angle, that the dense surface lets in.

    mesh : with uvs and normals
    """
    scene, source, face_normals = Scene(dense.vertices, dense.faces), Source(dense), dense.face_normals()

    def values(atlas: Atlas) -> np.ndarray:
        light = np.zeros(len(atlas.position), np.float32)
        # From the dense surface itself: the light one lies partly below it, in the dark.
        hits = source.hits(atlas.position, atlas.normal)
        facing = face_normals[hits.face]
        start = _at(dense.vertices, dense.faces[hits.face], hits.weights()) + np.float32(BEHIND * source.size) * facing
        limits = np.full(len(start), SIGHT * source.size, np.float32)
        for direction in spread_directions(RAYS):
            # A direction on the sphere added to the normal is spread by the cosine (Lambert).
            rays = never_zero(normalized(facing + direction)).astype(np.float32)
            light += ~scene.occluded(start, rays, limits)
        return np.repeat(light[:, None] / RAYS, 3, axis=1)

    return np.ascontiguousarray(painted(mesh, min(side, OCCLUSION_SIDE), values)[..., 0])


def _at(values: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(k, c): values (n, c) at corners (k, 3), weighted by (k, 3)."""
    return np.asarray(sum(values[corners[:, k]] * weights[:, k, None] for k in range(3)))

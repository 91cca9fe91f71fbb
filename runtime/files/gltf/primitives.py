"""Triangles of a glTF file's primitives, with morph targets and skins (Khronos specification 2.0, section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .accessors import ALL, Accessors, Rows

TRIANGLES, STRIP, FAN = 4, 5, 6
# Vertices that are skinned at a time.
CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Primitive:
    """Triangles in the axes of their mesh, one row a vertex.

    positions : (n, 3) float64; faces : (m, 3) int64
    normals : (n, 3) float64, or None; uvs : (n, 2) float64, or None; colors : (n, 3 or 4) float32, or None
    joints : (n, k) int64 and weights : (n, k) float64, which sum to 1; or None
    """

    positions: np.ndarray
    faces: np.ndarray
    normals: np.ndarray | None
    uvs: np.ndarray | None
    colors: np.ndarray | None
    joints: np.ndarray | None = None
    weights: np.ndarray | None = None

    def transformed(self, matrices: np.ndarray) -> Primitive:
        """One copy of it for each of the matrices (k, 4, 4). A mirror would turn the faces' fronts to the back: they are turned around."""
        linear, copies = matrices[:, :3, :3], len(matrices)
        faces = np.where((np.linalg.det(linear) < 0)[:, None, None], self.faces[:, ::-1], self.faces)
        faces = faces + len(self.positions) * np.arange(copies)[:, None, None]
        positions = np.einsum("kij,nj->kni", linear, self.positions) + matrices[:, None, :3, 3]
        normals = None if self.normals is None else _turned(self.normals, linear[:, None]).reshape(-1, 3)
        uvs, colors = (None if values is None else np.tile(values, (copies, 1)) for values in (self.uvs, self.colors))
        return Primitive(positions.reshape(-1, 3), faces.reshape(-1, 3), normals, uvs, colors)

    def skinned(self, joint_matrices: np.ndarray) -> Primitive:
        """Where a skin's joints (j, 4, 4) put it."""
        positions, mirrored = np.empty_like(self.positions), np.empty(len(self.positions), bool)
        normals = None if self.normals is None else np.empty_like(self.positions)
        assert self.joints is not None and self.weights is not None
        if self.joints.max(initial=0) >= len(joint_matrices):
            raise IndexError(f"a vertex refers to joint {self.joints.max()} of {len(joint_matrices)}")
        for start in range(0, len(positions), CHUNK):
            rows = slice(start, start + CHUNK)
            matrices = sum((self.weights[rows, k, None, None] * joint_matrices[self.joints[rows, k], :3]
                            for k in range(self.joints.shape[1])), np.zeros((), np.float64))
            positions[rows] = np.einsum("nij,nj->ni", matrices[..., :3], self.positions[rows]) + matrices[..., 3]
            mirrored[rows] = np.linalg.det(matrices[..., :3]) < 0
            if normals is not None and self.normals is not None:
                normals[rows] = _turned(self.normals[rows], matrices[..., :3])
        faces = np.where(mirrored[self.faces[:, :1]], self.faces[:, ::-1], self.faces)
        return replace(self, positions=positions, faces=faces, normals=normals)


def read_primitive(accessors: Accessors, entry: dict[str, Any], weights: Sequence[float], texcoord: int) -> Primitive | None:
    """The triangles of a primitive; None where there are none.

    weights : of its morph targets, in their order
    texcoord : the number of its TEXCOORD that is wanted
    """
    attributes, count = entry["attributes"], accessors.count(entry["attributes"]["POSITION"])
    order = accessors.whole(entry["indices"])[:, 0] if "indices" in entry else np.arange(count)
    faces = _triangles(order, entry.get("mode", TRIANGLES))
    if not len(faces):
        return None
    if faces.max() >= count:
        raise IndexError(f"a face refers to vertex {faces.max()} of {count}")
    # Many primitives may share one long list of vertices, of which each needs few.
    rows: Rows = ALL
    if count > faces.size:
        rows, faces = faces.ravel(), np.arange(faces.size).reshape(-1, 3)

    def read(name: str, widths: tuple[int, ...]) -> np.ndarray | None:
        if name not in attributes:
            return None
        values = accessors.floats(attributes[name], rows).astype(np.float64)
        if accessors.count(attributes[name]) != count or values.shape[1] not in widths:
            raise ValueError(f"{name} does not fit its positions")
        for weight, target in zip(weights, entry.get("targets", ()), strict=False):
            if weight and name in target:
                delta = accessors.floats(target[name], rows)
                if accessors.count(target[name]) != count:
                    raise ValueError(f"a morph target's {name} does not fit its positions")
                values[:, :delta.shape[1]] += float(weight) * delta
        return values

    uvs = read(f"TEXCOORD_{texcoord}", (2,))
    positions = read("POSITION", (3,))
    assert positions is not None  # their number is known
    return Primitive(positions, faces, read("NORMAL", (3,)), uvs, read("COLOR_0", (3, 4)),
                     *_skin_weights(accessors, attributes, count, rows))


def _skin_weights(accessors: Accessors, attributes: dict[str, Any], count: int, rows: Rows) -> tuple[np.ndarray, np.ndarray] | tuple[()]:
    """The joints of each vertex and their weights, (n, 4) for each set of them."""
    joints: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    while f"JOINTS_{len(joints)}" in attributes and f"WEIGHTS_{len(joints)}" in attributes:
        named, weighed = (attributes[f"{name}_{len(joints)}"] for name in ("JOINTS", "WEIGHTS"))
        if accessors.count(named) != count or accessors.count(weighed) != count:
            raise ValueError("the joints of its vertices do not fit its positions")
        joints.append(accessors.whole(named, rows))
        weights.append(accessors.floats(weighed, rows))
    if not joints:
        return ()
    all_joints, all_weights = np.concatenate(joints, axis=1), np.concatenate(weights, axis=1).astype(np.float64)
    total = all_weights.sum(axis=1, keepdims=True)
    all_weights = np.divide(all_weights, total, out=np.zeros_like(all_weights), where=total != 0)
    all_weights[(total == 0)[:, 0], 0] = 1  # a vertex that nobody moves follows its first joint
    return np.where(all_weights == 0, 0, all_joints), all_weights


def _turned(normals: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Normals (n, 3) of a surface that `linear` (..., 3, 3) moves: times its inverse, transposed, to a positive factor.

    The cofactors, times the determinant's sign, are that, and need no inverse.
    """
    cofactors = np.stack([np.cross(linear[..., (k + 1) % 3], linear[..., (k + 2) % 3]) for k in range(3)], axis=-1)
    turned = np.einsum("...ij,...j->...i", cofactors, normals)
    return turned * np.sign(np.linalg.det(linear))[..., None]


def _triangles(order: np.ndarray, mode: int) -> np.ndarray:
    """(m, 3) int64: the faces that a list of vertices stands for."""
    if mode not in (TRIANGLES, STRIP, FAN) or len(order) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == TRIANGLES:
        return order[:len(order) // 3 * 3].reshape(-1, 3)
    if mode == FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    faces[1::2] = faces[1::2, ::-1]
    return faces

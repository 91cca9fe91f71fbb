"""Nodes of a glTF file: which are shown, and where (Khronos specification 2.0, section 3.5).

Follows EXT_mesh_gpu_instancing, KHR_node_visibility and MSFT_lod as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .accessors import Accessors
from .document import Document

MAX_NODES = 100_000
MAX_INSTANCES = 100_000


class Nodes:
    """The tree of a file's nodes. Matrices are (4, 4) float64 and take columns."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.entries: list[dict[str, Any]] = document.root.get("nodes", [])
        self._parents: dict[int, int] = {}
        self._worlds: dict[int, np.ndarray] = {}
        for index, node in enumerate(self.entries):
            for child in node.get("children", ()):
                self._parents.setdefault(child, index)

    def shown(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """The nodes of the scene that is shown, each with its matrix into the scene.

        Hidden ones are left out with all below them, and so are coarser levels of detail (MSFT_lod).
        """
        coarser = {index for node in self.entries for index in _extension(node, "MSFT_lod").get("ids", ())}
        waiting, visited = [(index, np.eye(4)) for index in reversed(self._roots())], 0
        while waiting:
            index, above = waiting.pop()
            visited += 1
            if visited > min(len(self.entries), MAX_NODES):  # a tree reaches each node once
                raise ValueError(f"its nodes do not form a tree, or more than {MAX_NODES}")
            node = self.document.entry("nodes", index)
            if index in coarser or _extension(node, "KHR_node_visibility").get("visible", True) is False:
                continue
            matrix = above @ local_matrix(node)
            yield node, matrix
            waiting += [(child, matrix) for child in reversed(node.get("children", []))]

    def world(self, index: int) -> np.ndarray:
        """A node's matrix into the scene, whether the scene shows it or not, as joints need not be shown."""
        chain: list[int] = []
        above: int | None = index
        while above is not None and above not in self._worlds:
            if len(chain) >= len(self.entries):
                raise ValueError("its nodes do not form a tree")
            chain.append(above)
            above = self._parents.get(above)
        matrix = np.eye(4) if above is None else self._worlds[above]
        for each in reversed(chain):
            matrix = self._worlds[each] = matrix @ local_matrix(self.document.entry("nodes", each))
        return matrix

    def joint_matrices(self, skin: Any, accessors: Accessors) -> np.ndarray:
        """(j, 4, 4): from the axes of a skinned mesh into the scene, one for each joint."""
        entry = self.document.entry("skins", skin)
        joints = np.stack([self.world(index) for index in entry["joints"]])
        if "inverseBindMatrices" not in entry:
            return joints
        inverse = accessors.floats(entry["inverseBindMatrices"]).astype(np.float64)
        if len(inverse) < len(joints) or inverse.shape[1] != 16:
            raise ValueError("a skin has fewer inverse bind matrices than joints")
        return joints @ inverse[:len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)

    def _roots(self) -> list[int]:
        scenes = self.document.root.get("scenes", [])
        if scenes:
            return list(self.document.entry("scenes", self.document.root.get("scene", 0)).get("nodes", ()))
        return [index for index in range(len(self.entries)) if index not in self._parents]


def instance_matrices(node: dict[str, Any], accessors: Accessors) -> np.ndarray:
    """(n, 4, 4): the places of a mesh within its node (EXT_mesh_gpu_instancing); one, the identity, for most nodes."""
    attributes = _extension(node, "EXT_mesh_gpu_instancing").get("attributes", {})
    given = {name: accessors.floats(attributes[name]).astype(np.float64)
             for name in ("TRANSLATION", "ROTATION", "SCALE") if name in attributes}
    if not given:
        return np.eye(4)[None]
    counts = {len(values) for values in given.values()}
    if len(counts) > 1 or max(counts) > MAX_INSTANCES:
        raise ValueError(f"the attributes of its instances are not of one length, or more than {MAX_INSTANCES}")
    count = counts.pop()
    return placements(given.get("TRANSLATION", np.zeros((count, 3))), given.get("ROTATION", np.tile([0.0, 0, 0, 1], (count, 1))),
                      given.get("SCALE", np.ones((count, 3))))


def local_matrix(node: dict[str, Any]) -> np.ndarray:
    """(4, 4): of a node into its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    rows = (np.array(node.get(name, default), np.float64).reshape(1, len(default))
            for name, default in (("translation", (0, 0, 0)), ("rotation", (0, 0, 0, 1)), ("scale", (1, 1, 1))))
    return placements(*rows)[0]


def placements(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 4, 4): T R S for each row of (n, 3), of quaternions (n, 4) in the order x, y, z, w, and of (n, 3)."""
    x, y, z, w = rotation.T
    turn = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]).transpose(2, 0, 1)
    matrices = np.tile(np.eye(4), (len(translation), 1, 1))
    matrices[:, :3, :3] = turn * scale[:, None, :]
    matrices[:, :3, 3] = translation
    return matrices


def _extension(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return entry.get("extensions", {}).get(name, {})

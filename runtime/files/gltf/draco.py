"""Primitives that are compressed by Draco (KHR_draco_mesh_compression), for which the package DracoPy is needed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from ....engines.errors import InputError
from .document import Document

DRACO = "KHR_draco_mesh_compression"


def require_draco() -> None:
    """InputError where there is no decoder."""
    if find_spec("DracoPy") is None:
        raise InputError("the mesh is compressed", received=DRACO, expected="plain glTF 2.0, or the package DracoPy",
                         remedy="save it again without compression, or pip install DracoPy")


def decompressed(document: Document, primitive: dict[str, Any]) -> dict[int, np.ndarray]:
    """What the accessors of a primitive hold, (n, k) each, by their numbers; none where its accessors have bytes of their own.

    Errors: InputError without a decoder, ValueError for data that it cannot read.
    """
    entry = primitive.get("extensions", {}).get(DRACO)
    if entry is None or "bufferView" in document.entry("accessors", primitive["attributes"]["POSITION"]):
        return {}
    require_draco()
    import DracoPy

    data = bytes(document.view(entry["bufferView"])[0])
    try:
        mesh = DracoPy.decode(data)
    except Exception as error:  # its errors have no class in common
        raise ValueError(f"its Draco data cannot be decoded ({error})") from error
    arrays = {attribute["unique_id"]: np.asarray(attribute["data"]) for attribute in mesh.attributes}
    attributes = primitive["attributes"]
    found = {attributes[name]: arrays[number] for name, number in entry["attributes"].items() if name in attributes}
    if "indices" in primitive:
        found[primitive["indices"]] = np.asarray(mesh.faces, np.uint32).reshape(-1, 1)
    return {accessor: values.reshape(len(values), -1) for accessor, values in found.items()}

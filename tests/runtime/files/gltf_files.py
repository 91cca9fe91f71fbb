"""Writes small glTF files, so that each test says what is in its own."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from meshwright.runtime.files.gltf.reader import read_glb

COMPONENTS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
CORNERS = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 180, 20), (20, 40, 220), (240, 220, 20)


class Gltf:
    """One file: `document` is its JSON without buffers, `blob` its binary chunk."""

    def __init__(self, **document):
        self.blob = b""
        self.document = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": []}], **document}

    def add(self, kind, entry):
        """Its index in one of the JSON's lists."""
        self.document.setdefault(kind, []).append(entry)
        return len(self.document[kind]) - 1

    def view(self, data, **more):
        entry = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data), **more}
        self.blob += data + bytes(-len(data) % 4)
        return self.add("bufferViews", entry)

    def array(self, values, **more):
        """An accessor. values : (n,) or (n, k)"""
        values = np.asarray(values)
        columns = values.reshape(len(values), -1)
        return self.add("accessors", {"bufferView": self.view(values.tobytes()), "componentType": COMPONENTS[values.dtype.name],
                                      "count": len(values), "type": KINDS[columns.shape[1]], **more})

    def picture(self, pixels, kind="PNG"):
        """An image within the file."""
        return self.add("images", {"bufferView": self.view(encoded(pixels, kind)), "mimeType": f"image/{kind.lower()}"})

    def texture(self, pixels, **sampler):
        """A texture of a picture within the file."""
        more = {"sampler": self.add("samplers", sampler)} if sampler else {}
        return self.add("textures", {"source": self.picture(pixels), **more})

    def mesh(self, attributes, *, indices=None, material=None, weights=None, **primitive):
        """A mesh of one primitive; attributes that are no numbers of accessors become some."""
        found = {name: value if isinstance(value, int) else self.array(value) for name, value in attributes.items()}
        entry = {"attributes": found, **primitive}
        if indices is not None:
            entry["indices"] = indices if isinstance(indices, int) else self.array(indices)
        if material is not None:
            entry["material"] = self.add("materials", material)
        return self.add("meshes", {"primitives": [entry], **({} if weights is None else {"weights": weights})})

    def node(self, *, root=True, **entry):
        index = self.add("nodes", entry)
        if root:
            self.document["scenes"][0]["nodes"].append(index)
        return index

    def glb(self, *, pad=b" ", head=b"", chunk=True, **buffer):
        """The bytes of a GLB file. buffer : more of its first buffer"""
        document = {**self.document, "buffers": [{"byteLength": len(self.blob), **buffer}]}
        text = head + json.dumps(document).encode()
        text += pad * (-len(text) % 4 or 4)
        body = struct.pack("<I4s", len(text), b"JSON") + text
        if chunk:
            body += struct.pack("<I4s", len(self.blob), b"BIN\0") + self.blob
        return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body

    def gltf(self, uri, *, head=b"", tail=b""):
        """The bytes of a .gltf file whose only buffer is `uri`."""
        document = {**self.document, "buffers": [{"byteLength": len(self.blob), "uri": uri}]}
        return head + json.dumps(document).encode() + tail

    def scene(self, folder=Path("nowhere")):
        """What is read of it."""
        return read_glb(self.glb(), folder)


def encoded(pixels, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def quarters(side=16):
    """Red and green over blue and yellow."""
    return np.kron(np.array([[RED, GREEN], [BLUE, YELLOW]], np.uint8), np.ones((side, side, 1), np.uint8))


def triangle(**options):
    """A file of one triangle in one node, and its mesh's options."""
    file = Gltf()
    attributes = {"POSITION": CORNERS, **options.pop("attributes", {})}
    file.node(mesh=file.mesh(attributes, **options))
    return file


def painted(material, uvs=((0, 0), (1, 0), (0, 1)), **attributes):
    """A file of one triangle with a material; `material` makes it from the file."""
    file = Gltf()
    found = material(file)
    named = {"POSITION": CORNERS, "TEXCOORD_0": np.float32(uvs), **attributes}
    file.node(mesh=file.mesh(named, material=found))
    return file


def base(**options):
    return {"pbrMetallicRoughness": options}

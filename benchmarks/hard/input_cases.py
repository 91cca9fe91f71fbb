"""Pictures and meshes that a user gives, damaged."""

import json
import struct
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.hard.kinds import Kind
from benchmarks.hard.mutations import bytes_changed, json_changed
from benchmarks.hard.pictures import judged, mutated, seeds
from meshwright.engines.errors import InputError
from meshwright.runtime import Mesh, read_mesh
from meshwright.runtime.files.writer import save

WORDS = (b"0", b"-1", b"1e400", b"nan", b"99999999999999999999", b"1/2/3/4", b"//", b"", b"f", b"usemtl", b"mtllib /dev/zero",
         b"map_Kd /dev/zero", b"\xff\xfe", b"v", b"1 2 3 " * 50)
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class Pictures(Kind):
    """Each gives pixels, or is refused."""

    name, goal = "pictures", 1_000
    said = "pictures: PNG, JPEG, WebP, BMP, GIF"

    def __init__(self, folder: Path) -> None:
        self.folder, self.seeds = folder, seeds()

    def case(self, number: int, rng: Random) -> str:
        name = rng.choice(sorted(self.seeds))
        path = self.folder / f"picture.{name.split('.')[1]}"
        path.write_bytes(mutated(self.seeds[name], self.seeds[rng.choice(sorted(self.seeds))], rng))
        return judged(path)


class Meshes(Kind):
    """GLB files, their JSON and their buffers; OBJ files with a material and a picture beside them."""

    name, goal = "meshes", 1_000
    said = "meshes: GLB, glTF, OBJ with MTL"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        corners = np.array([[0.5, -0.3, -0.4], [0.1, 0.5, -0.4], [-0.5, -0.2, -0.4], [0.0, 0.0, 0.6]], np.float32)
        faces = np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3], [1, 0, 2]], np.int32)
        uvs = np.tile(np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32), (4, 1))
        texture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
        textured = Mesh(corners[faces].reshape(-1, 3), np.arange(12, dtype=np.int32).reshape(-1, 3), uvs=uvs, texture=texture)
        coloured = Mesh(corners, faces, colors=np.full((4, 3), 120, np.uint8))
        for name, mesh in (("textured.glb", textured), ("coloured.glb", coloured), ("textured.obj", textured)):
            save(mesh, folder / name)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.scenes = [_richer(self.files["textured.glb"]), self.files["coloured.glb"]]

    def case(self, number: int, rng: Random) -> str:
        name = rng.choice(("model.glb", "model.glb", "textured.obj", "textured.mtl", "textured_color.png"))
        path = self.folder / ("model.glb" if name == "model.glb" else "textured.obj")
        data = _glb_changed(rng.choice(self.scenes), rng) if name == "model.glb" else _text_changed(self.files[name], rng)
        (self.folder / name).write_bytes(data)
        try:
            mesh = read_mesh(path)
            mesh = getattr(mesh, "mesh", mesh)
            if not np.isfinite(mesh.vertices).all() or not len(mesh.faces) or mesh.faces.max() >= len(mesh.vertices):
                raise AssertionError("a mesh that is none was read")
        except InputError:
            return "refused"
        finally:
            if name in self.files:
                (self.folder / name).write_bytes(self.files[name])
        return "read"


def _glb_changed(data: bytes, rng: Random) -> bytes:
    if rng.random() < 0.35:
        return bytes_changed(data, rng)
    document, binary = _chunks(data)
    if rng.random() < 0.2:
        binary = bytes_changed(binary, rng)
    return _glb(json_changed(document, rng), binary)


def _chunks(data: bytes) -> tuple[dict, bytes]:
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20:20 + length]), data[28 + length:]


def _glb(document: object, binary: bytes) -> bytes:
    text = json.dumps(document).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), JSON_CHUNK) + text + struct.pack("<II", len(binary), BINARY_CHUNK) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body


def _richer(data: bytes) -> bytes:
    """With what readers stumble over: a skin, morph targets, a sparse accessor, a texture transform, nodes in each other."""
    document, binary = _chunks(data)
    primitive = document["meshes"][0]["primitives"][0]
    positions = primitive["attributes"]["POSITION"]
    primitive["targets"] = [{"POSITION": positions}]
    document["meshes"][0]["weights"] = [0.1]
    document["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 12, "sparse": {
        "count": 1, "indices": {"bufferView": 0, "componentType": 5123}, "values": {"bufferView": 0}}})
    document["nodes"] = [{"mesh": 0, "children": [1], "rotation": [0, 0, 0, 1]}, {"scale": [1, 1, 1], "mesh": 0},
                         {"matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}]
    document["skins"] = [{"joints": [1, 2]}]
    document["scenes"] = [{"nodes": [0, 2]}]
    for material in document.get("materials", []):
        texture = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
        if texture:
            texture["extensions"] = {"KHR_texture_transform": {"offset": [0.1, 0], "scale": [2, 2], "rotation": 0.5}}
    return _glb(document, binary)


def _text_changed(data: bytes, rng: Random) -> bytes:
    """Lines of an OBJ or MTL: numbers, orders and words; or any bytes."""
    if data.startswith(b"\x89PNG") or rng.random() < 0.4:
        return bytes_changed(data, rng)
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(lines))
        words = lines[at].split(b" ")
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        lines[at] = b" ".join(words)
        if rng.random() < 0.2:
            lines.insert(rng.randrange(len(lines)), lines[at])
    return b"\n".join(lines)

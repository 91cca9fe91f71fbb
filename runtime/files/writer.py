"""Writes meshes as GLB, OBJ, PLY and STL, by the file name's ending.

OBJ has the axes of glTF (+Y up, front +Z). PLY and STL, which printing and scanning tools read as z up,
have z up and front -y: all four look the same in a tool that knows these conventions. Lengths are metres.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...engines.errors import OutputError
from ...engines.files.file_set import write_files
from ..geometry.mesh import Mesh
from ..geometry.render import sample_texture
from ..geometry.shading import product, to_uint8
from .gltf.encoding import png_bytes
from .gltf.writer import glb_bytes, to_gltf_axes

ENDINGS = (".glb", ".obj", ".ply", ".stl")


def save(
    mesh: Mesh, path: str | os.PathLike, extras: Mapping[str, object] | None = None, *, metres_per_unit: float = 1.0,
) -> list[Path]:
    """Write a mesh in world axes (z up, front +x), in the format that the ending names; overwrites.

    .glb : everything, `extras` in asset.extras
    .obj : if there is a texture, with NAME.mtl and NAME_color.png beside it
    .ply : vertex colours; .stl : triangles alone
    -> the files written, `path` first

    All files appear, or none (`engines.file_set`). OutputError if they cannot be written.
    """
    path = check_output(path)
    files = encode(mesh, path, extras, metres_per_unit)
    write_files(files)
    return list(files)


def check_output(path: str | os.PathLike) -> Path:
    """The path, if a mesh could be saved there: known ending, an existing folder to write to, no folder or device in the way of
    it or its companions.

    Nothing is written. OutputError otherwise. Call it before the work, not after.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise OutputError(subject=str(path), received=f"the extension {path.suffix!r}" if path.suffix else "no extension",
                          expected=f"one of {', '.join(ENDINGS)}", remedy="choose a file name with a known extension")
    if not os.path.isdir(path.parent):
        raise OutputError(subject=str(path), received=f"no folder {path.parent}", expected="an existing folder",
                          remedy="create the folder or choose another")
    for target in (path, *companions(path)):
        check_free(target)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(subject=str(path), received=f"no permission to write in {path.parent}",
                          expected="a folder that can be written", remedy="choose another folder")
    return path


def check_free(target: Path) -> None:
    """OutputError for a folder or a device in the way of a file."""
    if os.path.exists(target) and not os.path.isfile(target):
        raise OutputError(subject=str(target), received="a folder" if os.path.isdir(target) else "a device or a pipe",
                          expected="a file name", remedy="choose another name")


def companions(path: Path) -> tuple[Path, ...]:
    """The files that a mesh with a texture has beside `path`: the material and the picture of an OBJ.

    The picture has a name of its own: a mesh is often called after the picture that it is made from.
    """
    return (path.with_suffix(".mtl"), path.with_name(f"{path.stem}_color.png")) if path.suffix.lower() == ".obj" else ()


def encode(
    mesh: Mesh, path: Path, extras: Mapping[str, object] | None, metres_per_unit: float,
) -> dict[Path, bytes]:
    """The contents of each file, `path` first."""
    ending = path.suffix.lower()
    if ending == ".glb":
        return {path: glb_bytes(mesh, extras, metres_per_unit=metres_per_unit, name=path.stem)}
    scaled = mesh.replace(vertices=mesh.vertices * mesh.vertices.dtype.type(metres_per_unit))
    if ending == ".ply":
        return {path: ply_bytes(scaled)}
    if ending == ".stl":
        return {path: stl_bytes(scaled)}
    if mesh.texture is None or mesh.uvs is None:
        return {path: obj_text(scaled, None)}
    material, texture = companions(path)
    return {path: obj_text(scaled, material.name), material: mtl_text(texture.name), texture: png_bytes(mesh.texture)}


def obj_text(mesh: Mesh, material_file: str | None) -> bytes:
    """A Wavefront OBJ file. Vertex colours follow the position as most tools read it.

    material_file : name of the MTL file beside it, or None
    """
    lines = ["# Meshwright"]
    if material_file:
        lines.append(f"mtllib {material_file}")
    rows = to_gltf_axes(mesh.vertices)
    if mesh.colors is not None:
        rows = np.concatenate([rows, mesh.colors / 255.0], axis=1)
    lines += _rows("v", rows, 7 if mesh.vertices.dtype == np.float32 else 10)
    if mesh.uvs is not None:
        lines += _rows("vt", np.stack([mesh.uvs[:, 0], 1 - mesh.uvs[:, 1]], axis=1))  # origin at the bottom left
    if mesh.normals is not None:
        lines += _rows("vn", to_gltf_axes(mesh.normals))
    if material_file:
        lines.append("usemtl surface")
    texture, normal = mesh.uvs is not None, mesh.normals is not None
    corner = {(False, False): "{0}", (True, False): "{0}/{0}", (False, True): "{0}//{0}", (True, True): "{0}/{0}/{0}"}
    reference = corner[texture, normal].format
    lines += ["f " + " ".join(map(reference, face)) for face in (mesh.faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode("utf-8")


def with_quads(obj: bytes) -> bytes:
    """An OBJ file of ours whose faces (a, b, c) and (a, c, d), one behind the other, are one face of four corners."""
    lines = obj.decode().split("\n")
    found: list[str] = []
    for line in lines:
        before = found[-1].split() if found and found[-1].startswith("f ") else []
        now = line.split() if line.startswith("f ") else []
        if len(before) == 4 and len(now) == 4 and now[1:3] == [before[1], before[3]]:
            found[-1] += f" {now[3]}"
        else:
            found.append(line)
    return "\n".join(found).encode()


def mtl_text(texture_file: str) -> bytes:
    """The MTL file that names the texture: matt, unlit colour in the diffuse slot."""
    return f"# Meshwright\nnewmtl surface\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture_file}\n".encode()


def ply_bytes(mesh: Mesh) -> bytes:
    """A binary little-endian PLY file: positions, normals, and colours of the vertices.

    A texture is sampled at the vertices, since PLY has no common way to name one.
    """
    fields = [(name, "<f4") for name in ("x", "y", "z")]
    columns = list(to_upright_axes(mesh.vertices).T)
    if mesh.normals is not None:
        fields += [(name, "<f4") for name in ("nx", "ny", "nz")]
        columns += list(to_upright_axes(mesh.normals).T)
    colors = _vertex_colors(mesh)
    if colors is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        columns += list(colors.T)
    vertices = np.empty(len(mesh.vertices), fields)
    for (name, _), column in zip(fields, columns, strict=True):
        vertices[name] = column
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("indices", "<i4", 3)])
    faces["count"], faces["indices"] = 3, mesh.faces
    kinds = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", "comment Meshwright", f"element vertex {len(vertices)}",
              *(f"property {kinds[dtype]} {name}" for name, dtype in fields),
              f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(header).encode("ascii") + vertices.tobytes() + faces.tobytes()


def stl_bytes(mesh: Mesh) -> bytes:
    """A binary STL file: the triangles alone."""
    records = np.zeros(len(mesh.faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    records["normal"] = to_upright_axes(mesh.face_normals())
    records["corners"] = to_upright_axes(mesh.vertices)[mesh.faces]
    return b"Meshwright".ljust(80, b"\0") + np.array([len(mesh.faces)], "<u4").tobytes() + records.tobytes()


def to_upright_axes(vectors: np.ndarray) -> np.ndarray:
    """(n, 3): world (x, y, z), front +x, as (y, -x, z), front -y; a quarter turn about z."""
    return vectors[:, [1, 0, 2]] * np.array([1, -1, 1], vectors.dtype)


def _vertex_colors(mesh: Mesh) -> np.ndarray | None:
    """(n, 3) uint8 or None."""
    if mesh.texture is None or mesh.uvs is None:
        return mesh.colors
    colors = sample_texture(mesh.texture, mesh.uvs)
    if mesh.colors is not None:
        colors = product(colors, mesh.colors * np.float32(1 / 255))
    return to_uint8(colors)


def _rows(keyword: str, values: np.ndarray, digits: int = 7) -> list[str]:
    """One line of text for each row of numbers."""
    pattern = keyword + f" %.{digits}g" * values.shape[1]
    return [pattern % tuple(row) for row in values.tolist()]

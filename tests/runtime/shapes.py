"""Small closed meshes for the tests, in world axes: z up, front +x."""

import numpy as np
import trimesh

from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture.fill import Surroundings
from meshwright.runtime.texture.painter import Painter

# Seen from the front (from +x): right is +y, up is +z. Row 0 is the top.
LETTER_F = ["##", "#.", "##", "#.", "#."]


def letter_f(detail=1):
    """A letter F that a viewer in front reads as F; a solid of unit height centred on the origin.

    detail : cubes along the side of each of the letter's cells
    """
    cells = np.array([[mark == "#" for mark in row] for row in LETTER_F])
    solid = np.flip(cells, 0).T[None]  # (x, y, z)
    for axis in range(3):
        solid = solid.repeat(detail, axis)
    mesh = voxel_surface(solid)
    size = np.array(solid.shape, np.float32)
    return mesh.replace(vertices=(mesh.vertices - size / 2) / np.float32(5 * detail))


def voxel_surface(solid):
    """The boundary of the true cells of a (x, y, z) bool array, two outward triangles a square."""
    padded = np.pad(solid, 1)
    quads = []
    for axis in range(3):
        first, second = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
        for side in (0, 1):
            step = np.roll(padded, 1 - 2 * side, axis)
            low = np.argwhere(padded & ~step) - 1 + side * np.eye(3, dtype=int)[axis]
            corners = [low, low + first, low + first + second, low + second]
            quads.append(np.stack(corners if side else corners[::-1], 1))
    quads = np.concatenate(quads)
    places, index = np.unique(quads.reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    faces = np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])
    return Mesh(places.astype(np.float32), faces.astype(np.int32))


def sphere(radius=0.6, subdivisions=3):
    """An icosphere: 20 * 4 ** subdivisions faces."""
    made = trimesh.creation.icosphere(subdivisions, radius)
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def box(extents=(1.0, 1.0, 1.0), center=(0.0, 0.0, 0.0)):
    """A box of twelve faces and eight vertices."""
    made = trimesh.creation.box(extents)
    return Mesh((made.vertices + center).astype(np.float32), made.faces.astype(np.int32))


def joined(*meshes):
    """Several meshes as one, vertices and faces only."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = [mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces).astype(np.int32))


def spiral_ramp(turns=2.5, steps=120):
    """An open ramp that winds around z above itself, all of it facing up."""
    angle = np.linspace(0, 2 * np.pi * turns, steps)
    ring = np.stack([np.cos(angle), np.sin(angle), 0.05 * angle], 1)
    vertices = np.concatenate([ring * [0.4, 0.4, 1], ring * [0.9, 0.9, 1]]).astype(np.float32)
    k = np.arange(steps - 1)
    faces = np.concatenate([np.stack([k, k + steps, k + steps + 1], 1), np.stack([k, k + steps + 1, k + 1], 1)])
    return Mesh(vertices, faces.astype(np.int32))


def position_colors(points):
    """(n, 3) float32 in [0, 1]: a colour that tells the place: red to the left, green up, blue in front.

    Left and right as a viewer in front sees them.
    """
    x, y, z = np.asarray(points, np.float32).T
    return (0.5 + 0.45 * np.stack([-y, z, x], 1) / 0.6).clip(0, 1)


def fill_unseen(atlas, mesh, baked):
    """The colours of a texture of one strip, with what no view saw filled from its surroundings."""
    surroundings = Surroundings(mesh)
    surroundings.gather(atlas, baked)
    return surroundings.fill(atlas, baked)


def to_texture(atlas, colors):
    """The texture of an atlas of one strip."""
    painter = Painter(atlas.size)
    painter.add(atlas, colors)
    return painter.finish()

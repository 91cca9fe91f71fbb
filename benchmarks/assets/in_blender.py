"""Run by Python with `bpy`: prints what Blender makes of GLB files, as JSON, and renders each with Cycles.

    python in_blender.py OUT FILE.glb ...
"""

import json
import sys
from pathlib import Path

import bpy
from mathutils import Vector

SIDE, SAMPLES = 256, 8


def corners(objects):
    """Lowest and highest corner of the objects' boxes, in Blender's axes."""
    points = [thing.matrix_world @ Vector(corner) for thing in objects for corner in thing.bound_box]
    return [Vector([pick(point[axis] for point in points) for axis in range(3)]) for pick in (min, max)]


def mikktspace(thing):
    """Each corner's place, normal, uv, tangent and sign of the bitangent, as Blender's MikkTSpace computes them; none without a map."""
    if not any(node.type == "NORMAL_MAP" for material in thing.data.materials if material for node in material.node_tree.nodes):
        return []
    mesh = thing.data
    mesh.calc_tangents()
    uvs = mesh.uv_layers.active.data
    return [[*mesh.vertices[loop.vertex_index].co, *loop.normal, *uvs[loop.index].uv, *loop.tangent, loop.bitangent_sign]
            for loop in mesh.loops]


def render(objects, path):
    """Two directions of light, a plain world."""
    low, high = corners(objects)
    middle, reach = (low + high) / 2, (high - low).length / 2
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", SAMPLES, "CPU"
    scene.render.resolution_x = scene.render.resolution_y = SIDE
    scene.view_settings.view_transform = "Standard"
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (1, 1, 1, 1)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    towards = Vector((0.6, -1, 0.5)).normalized()  # from the front, which is -y in Blender
    camera.location, camera.rotation_euler = middle + towards * reach * 4, (-towards).to_track_quat("-Z", "Y").to_euler()
    camera.data.angle = 0.6
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def describe(file, out):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(file))
    meshes = [thing for thing in bpy.data.objects if thing.type == "MESH"]
    low, high = corners(meshes)
    found = {"objects": [{"name": thing.name, "triangles": len(thing.data.polygons), "parent": thing.parent.name if thing.parent else None,
                          "scale": list(thing.scale), "tangents": mikktspace(thing)}
                         for thing in meshes],
             "images": sorted(list(image.size) for image in bpy.data.images if image.size[0]), "low": list(low), "high": list(high)}
    drawn = [thing for thing in meshes if not any(mark in thing.name for mark in ("UCX_", "UBX_", "_hull_", "_box_"))]
    for thing in meshes:
        thing.hide_render = thing not in drawn or "_LOD" in thing.name and "_LOD0" not in thing.name
    render(drawn or meshes, out / f"{file.stem}.png")
    return found


def main():
    out = Path(sys.argv[1])
    report = {Path(name).name: describe(Path(name), out) for name in sys.argv[2:]}
    (out / "blender.json").write_text(json.dumps(report))


main()

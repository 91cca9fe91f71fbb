"""Run by Python with `bpy`: twenty meshes as Blender exports them, textured, coloured, open, closed, dense and thin.

    python meshes_in_blender.py OUT
"""

import sys
from pathlib import Path

import bpy

ADD = bpy.ops.mesh


def textured(thing):
    """Blender's colour grid, which shows where everything goes."""
    image = bpy.data.images.new("grid", 256, 256)
    image.generated_type = "COLOR_GRID"
    nodes = _material(thing)
    picture = nodes.nodes.new("ShaderNodeTexImage")
    picture.image = image
    nodes.links.new(picture.outputs[0], nodes.nodes["Principled BSDF"].inputs[0])


def colored(thing, *color):
    """One colour."""
    _material(thing).nodes["Principled BSDF"].inputs[0].default_value = (*color, 1)


def changed(thing, kind, **options):
    """With a modifier, which the exporter applies."""
    modifier = thing.modifiers.new(kind, kind)
    for name, value in options.items():
        setattr(modifier, name, value)


def _material(thing):
    material = bpy.data.materials.new("surface")
    material.use_nodes = True
    thing.data.materials.append(material)
    return material.node_tree


def text():
    bpy.ops.object.text_add()
    data = bpy.context.active_object.data
    data.body, data.extrude, data.bevel_depth = "Mesh", 0.1, 0.01
    bpy.ops.object.convert(target="MESH")


def blobs():
    for x in (0, 1, 1.8):
        bpy.ops.object.metaball_add(radius=1, location=(x, 0, x * 0.3))
    bpy.ops.object.convert(target="MESH")


# Name, format, how it is made, what is done with it then.
MESHES = (
    ("suzanne", "glb", ADD.primitive_monkey_add, lambda it: (textured(it), changed(it, "SUBSURF", levels=1))),
    ("suzanne_dense", "obj", ADD.primitive_monkey_add, lambda it: (colored(it, 0.8, 0.3, 0.1), changed(it, "SUBSURF", levels=3))),
    ("cube", "glb", ADD.primitive_cube_add, textured),
    ("bevel", "glb", ADD.primitive_cube_add, lambda it: (textured(it), changed(it, "BEVEL", width=0.2, segments=4))),
    ("torus", "glb", lambda: ADD.primitive_torus_add(major_segments=96, minor_segments=48), textured),
    ("cone", "obj", lambda: ADD.primitive_cone_add(vertices=64), lambda it: colored(it, 0.1, 0.5, 0.2)),
    ("cylinder", "glb", lambda: ADD.primitive_cylinder_add(vertices=48), textured),
    ("open_cylinder", "glb", lambda: ADD.primitive_cylinder_add(vertices=48, end_fill_type="NOTHING"), textured),
    ("plane", "glb", ADD.primitive_plane_add, textured),
    ("waves", "obj", lambda: ADD.primitive_grid_add(x_subdivisions=120, y_subdivisions=120),
     lambda it: (colored(it, 0.2, 0.4, 0.8), changed(it, "WAVE", height=0.2, width=0.5, narrowness=3))),
    ("icosphere", "glb", lambda: ADD.primitive_ico_sphere_add(subdivisions=6), textured),
    ("uvsphere", "glb", lambda: ADD.primitive_uv_sphere_add(segments=128, ring_count=64), textured),
    ("wireframe", "glb", lambda: ADD.primitive_ico_sphere_add(subdivisions=3),
     lambda it: (colored(it, 0.6, 0.6, 0.2), changed(it, "WIREFRAME", thickness=0.05))),
    ("skin", "glb", ADD.primitive_cube_add,
     lambda it: (colored(it, 0.4, 0.2, 0.6), changed(it, "SKIN"), changed(it, "SUBSURF", levels=2))),
    ("array", "glb", ADD.primitive_torus_add, lambda it: (textured(it), changed(it, "ARRAY", count=4))),
    ("screw", "glb", lambda: ADD.primitive_circle_add(vertices=12, radius=0.2, location=(1, 0, 0)),
     lambda it: (colored(it, 0.7, 0.7, 0.7), changed(it, "SCREW", angle=12, screw_offset=2, iterations=2, steps=64))),
    ("thick_plane", "glb", lambda: ADD.primitive_grid_add(x_subdivisions=20, y_subdivisions=20),
     lambda it: (textured(it), changed(it, "SOLIDIFY", thickness=0.05))),
    ("remesh", "obj", ADD.primitive_monkey_add,
     lambda it: (colored(it, 0.3, 0.7, 0.7), changed(it, "REMESH", mode="VOXEL", voxel_size=0.04))),
    ("text", "glb", text, lambda it: colored(it, 0.9, 0.1, 0.1)),
    ("blobs", "glb", blobs, lambda it: colored(it, 0.5, 0.3, 0.9)),
)


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, kind, make, finish in MESHES:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        make()
        finish(bpy.context.active_object)
        if kind == "glb":
            bpy.ops.export_scene.gltf(filepath=str(out / f"{name}.glb"), export_format="GLB", export_apply=True)
        else:
            bpy.ops.wm.obj_export(filepath=str(out / f"{name}.obj"), apply_modifiers=True)


main()

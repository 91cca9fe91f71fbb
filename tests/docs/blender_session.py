"""Run by a Python that has `bpy`: the add-on from its zip against a running server. Prints what it found as JSON."""

import importlib
import json
import sys
import time
import zipfile
from pathlib import Path

import bpy

folder, address = Path(sys.argv[1]), sys.argv[2]
zipfile.ZipFile(folder / "addon.zip").extractall(folder / "meshwright_addon")
sys.path.insert(0, str(folder))
addon = importlib.import_module("meshwright_addon")
bpy.ops.wm.read_factory_settings(use_empty=True)
addon.register()


def done(**options: object) -> addon.Job:
    job = addon.Job(addon.Client(address), options)
    job.start()
    while not job.done:
        time.sleep(0.02)
    return job


def box(objects: list) -> list[list[float]]:
    corners = [each.matrix_world @ vertex.co for each in objects for vertex in each.data.vertices]
    return [[min(c[k] for c in corners), max(c[k] for c in corners)] for k in range(3)]


found: dict[str, object] = {"operators": [hasattr(bpy.ops.meshwright, name) for name in ("make", "cancel")],
                            "panel": bpy.types.VIEW3D_PT_meshwright.bl_category}
first = done(prompt="a red chair", texture=64, name=addon.object_name("a red chair!"), **{"for": "blender"})
made = addon.place(bpy.context, first.file, (1.0, 2.0, 3.0))
found |= {"error": first.error, "names": [each.name for each in made], "made": box(made)}
addon.export_selected(bpy.context, folder / "selected.glb")
again = done(type="texture", prompt="a blue chair", mesh=folder / "selected.glb", texture=64)
found["textured"] = box(addon.place(bpy.context, again.file, (0.0, 0.0, 0.0)))
stopped = addon.Job(addon.Client(address), {"prompt": "a chair", "steps": 1000, "prior_steps": 1000})
stopped.start()
while stopped.id is None:
    time.sleep(0.02)
stopped.cancel()
while not stopped.done:
    time.sleep(0.02)
found["cancelled"] = [stopped.error, stopped.file]
found["refused"] = done(prompt="", image=b"no picture").error
for job in (first, again, stopped):
    job.close()
addon.unregister()
found["left"] = hasattr(bpy.types.Scene, "meshwright")
print("FOUND", json.dumps(found))

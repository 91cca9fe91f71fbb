"""Meshwright in Blender: a panel (N, tab Meshwright) that makes objects from prompts and gives the selected one a new texture.

The work is done by `meshwright serve`; this file talks to it by `client.py`, which is `meshwright.client`, in a thread, so that Blender
stays usable.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, PointerProperty, StringProperty

from .client import ADDRESS, Client, ClientError

# Seconds between two looks at what the thread has found.
LOOK = 0.1


class Job:
    """One task of the server, from a thread's view: submit, follow, download. Nothing here touches Blender's data."""

    def __init__(self, client: Client, options: dict) -> None:
        self.client, self.options = client, options
        self.folder = Path(tempfile.mkdtemp(prefix="meshwright-"))
        self.text, self.progress, self.error, self.file, self.id = "waiting for the server", 0.0, "", None, None
        self.done = False
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="meshwright", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """End the task on the server at its next step."""
        self._cancelled = True
        if self.id is not None:
            threading.Thread(target=self._cancel, daemon=True).start()

    def close(self) -> None:
        """Take the files away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cancel(self) -> None:
        try:
            self.client.cancel(self.id)
        except ClientError:
            pass  # it has ended, or the server has

    def _run(self) -> None:
        try:
            self.id = self.client.submit(**self.options)["id"]
            if self._cancelled:
                self._cancel()
            for event in self.client.events(self.id):
                self.progress = event.data.get("progress", self.progress)
                if event.type in ("stage", "step"):
                    self.text = event.data["stage"]
                elif event.type == "queue":
                    self.text = f"{event.data['position']} before it"
            task = self.client.wait(self.id)
            name = f"{task['request']['name']}.glb"
            self.file = self.client.download(self.id, name, self.folder / name)
        except ClientError as error:
            self.error = "" if self._cancelled else str(error)
        except OSError as error:
            self.error = str(error)
        finally:
            self.done = True


def object_name(prompt: str) -> str:
    """The prompt as the name of an object and a file."""
    words = "".join(c if c.isascii() and c.isalnum() else "_" for c in prompt)
    return "_".join(part for part in words.split("_") if part)[:48] or "object"


def export_selected(context: bpy.types.Context, path: Path) -> None:
    """Write the selected meshes as a GLB."""
    bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB", use_selection=True, export_apply=True)


def place(context: bpy.types.Context, path: Path, location: tuple[float, float, float]) -> list[bpy.types.Object]:
    """Import a GLB, move it to a location, select it, and give its objects. Sizes are metres, as in the file."""
    before = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(path))
    made = [each for each in bpy.data.objects if each not in before]
    for each in made:
        if each.parent is None:
            each.location = [own + there for own, there in zip(each.location, location, strict=True)]
    context.view_layer.update()
    return made


class Settings(bpy.types.PropertyGroup):
    """What the panel holds; kept in the scene."""

    prompt: StringProperty(name="Prompt", description="What to make")  # type: ignore[valid-type]
    seed: IntProperty(name="Seed", min=0)  # type: ignore[valid-type]
    status: StringProperty()  # type: ignore[valid-type]
    running: BoolProperty()  # type: ignore[valid-type]


class Preferences(bpy.types.AddonPreferences):
    """Where the server is."""

    bl_idname = __package__
    address: StringProperty(name="Server", default=ADDRESS)  # type: ignore[valid-type]
    token: StringProperty(name="Token", subtype="PASSWORD", description="What the server's --token-file holds")  # type: ignore[valid-type]

    def draw(self, context: bpy.types.Context) -> None:
        """In the preferences of add-ons."""
        self.layout.prop(self, "address")
        self.layout.prop(self, "token")


class Make(bpy.types.Operator):
    """Make an object from the prompt, at the 3D cursor"""

    bl_idname, bl_label, bl_options = "meshwright.make", "Make", {"REGISTER", "UNDO"}
    texture: BoolProperty(default=False)  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Send the task; the rest happens in `modal`."""
        settings = context.scene.meshwright
        if not settings.prompt.strip():
            self.report({"ERROR"}, "Say what to make")
            return {"CANCELLED"}
        options = {"prompt": settings.prompt, "seed": settings.seed, "name": object_name(settings.prompt), "for": "blender"}
        job = Job(_client(context), options)
        self._location = tuple(context.scene.cursor.location)
        if self.texture:
            path = job.folder / "selected.glb"
            export_selected(context, path)
            del options["for"]  # it comes back in the place and size that it has
            options |= {"type": "texture", "mesh": path}
            self._location = (0.0, 0.0, 0.0)
        self._job = job
        job.start()
        settings.running = True
        Cancel.job = job
        self._timer = context.window_manager.event_timer_add(LOOK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Show what the thread has found; import the result once it is there."""
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        settings, job = context.scene.meshwright, self._job
        settings.status = f"{job.text}, {job.progress:.0f} %"
        for area in context.screen.areas:
            area.tag_redraw()
        if not job.done:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        settings.running, settings.status, Cancel.job = False, job.error, None
        try:
            if job.file is None:
                if job.error:
                    self.report({"ERROR"}, job.error)
                return {"CANCELLED"}
            place(context, job.file, self._location)
        finally:
            job.close()
        return {"FINISHED"}


class Cancel(bpy.types.Operator):
    """Cancel the object that is being made"""

    bl_idname, bl_label = "meshwright.cancel", "Cancel"
    job: Job | None = None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Tell the server."""
        if Cancel.job is not None:
            Cancel.job.cancel()
        return {"FINISHED"}


class Panel(bpy.types.Panel):
    """In the sidebar of the 3D view."""

    bl_idname, bl_label = "VIEW3D_PT_meshwright", "Meshwright"
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Meshwright"

    def draw(self, context: bpy.types.Context) -> None:
        """The prompt, the buttons, and what is going on."""
        settings, layout = context.scene.meshwright, self.layout
        layout.prop(settings, "prompt", text="")
        layout.prop(settings, "seed")
        if settings.running:
            layout.operator(Cancel.bl_idname)
        else:
            layout.operator(Make.bl_idname).texture = False
            row = layout.row()
            row.enabled = any(each.type == "MESH" for each in context.selected_objects)
            row.operator(Make.bl_idname, text="Texture the selection").texture = True
        if settings.status:
            layout.label(text=settings.status)


CLASSES = (Settings, Preferences, Make, Cancel, Panel)


def _client(context: bpy.types.Context) -> Client:
    found = context.preferences.addons.get(__package__)
    return Client(found.preferences.address, token=found.preferences.token or None) if found else Client()


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    for each in CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.meshwright = PointerProperty(type=Settings)


def unregister() -> None:
    """Called by Blender when it is switched off."""
    del bpy.types.Scene.meshwright
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)

"""`Pipeline`: an open pack that turns prompts and pictures into meshes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from ..engines.errors import BackendError, InputError
from .assets.placing import known_size
from .backends.models import Models
from .events import CoarseMesh, CoarseViews, EngineBuild, Event, Notice, Result, StageDone, Surface, Views
from .files.reader import MeshFile, Placement
from .geometry.mesh import Mesh
from .images.pictures import Picture
from .lora import Loras
from .pack.manifest import Diffusion, required
from .pack.pack import Pack
from .recipes import instantmesh, sharp_it
from .recipes.routes import choose_route, default_route, view_loop
from .recipes.settings import LoopSettings, coarse_settings, drawing_settings, texture_size
from .request import Request, describe_inputs
from .request_options import File, GenerationOptions, RequestOptions, load_options
from .results import Cutout, Generation, Stages
from .run_lock import RunLock


@dataclass(frozen=True)
class Recipe:
    """How the components of a pack make a mesh.

    stages : names of its stages, in order
    components : kinds of those that it runs, in the order of their first use; a pack need not have all of them
    """

    run: Callable[[Models, Request], Generator[Event, None, Mesh]]
    stages: tuple[str, ...]
    components: tuple[str, ...]


# By the route that a request takes through a pack (`routes`).
RECIPES = {"text": Recipe(sharp_it.from_text, sharp_it.STAGES, sharp_it.COMPONENTS),
           "coarse": Recipe(sharp_it.from_picture, sharp_it.PICTURE_STAGES, sharp_it.PICTURE_COMPONENTS),
           "refine": Recipe(sharp_it.from_mesh, sharp_it.MESH_STAGES, sharp_it.MESH_COMPONENTS),
           "texture": Recipe(sharp_it.onto_mesh, sharp_it.TEXTURE_STAGES, sharp_it.TEXTURE_COMPONENTS),
           "views": Recipe(instantmesh.instantmesh, instantmesh.STAGES, instantmesh.COMPONENTS)}


class Pipeline:
    """Holds a pack's model files open between runs; they are opened when first needed.

    Not for two runs at once: a second one started before the first has ended is refused.
    """

    def __init__(self, models: Models) -> None:
        self.models, self.loras = models, Loras(models)
        self._run_lock = RunLock()

    @classmethod
    def open(cls, name_or_path: str | os.PathLike[str] = "props", *, backend: str = "auto",
             threads: int | None = None, providers: Sequence[str] | None = None,
             memory: str = "normal", measure_memory: bool = False, gpu_share: str = "full",
             vram: int | str | None = None, trust: bool = False) -> Pipeline:
        """Find a pack, check its hashes, and make it ready.

        name_or_path : a bundled pack, one in $MESHWRIGHT_PACKS, or a folder
        backend : "auto" for the best that works here, with a notice of what does not; "onnxruntime", "tensorrt", "tensorrt-rtx", which
            run every component or raise, see `BackendSelector`; or "null" for tests without models
        threads : of the networks; None lets the backend choose
        providers : ONNX Runtime's, in order of preference, which then runs everything; None for the best that start
        memory : "normal" keeps the model files open between runs; "low" holds only the large one that is needed next;
            "lowest" leaves even its weights on disk, see `Models`
        measure_memory : tell each stage's peak of memory, which on Linux resets a mark of the whole process, see `Models`
        gpu_share : "full", or "background" for a card that a game renders on: work of low priority, in blocks of at most 8 ms
        vram : most bytes of the GPU's memory that may be used, or "6G": components are loaded and unloaded so that it stays below, see
            `Models`. A pack that cannot do with so little is an InputError that says what would do
        trust : run the models of a pack from elsewhere, this time. A model is a program: one made for it can crash the process, never
            end, or fill the memory. Bundled packs, those that this user exported, and those named by `meshwright packs trust` need
            no such word. It holds for built engines in the pack's folder too.
        Errors: PackNotFound, PackFormat, PackCorrupt, PackUntrusted, InputError.
        """
        pack = Pack.open(name_or_path)
        if trust:
            pack = replace(pack, trusted_by_caller=True)
        pack.require_trust()
        return cls(Models(pack, backend=backend, providers=providers, threads=threads, memory=memory, measure_memory=measure_memory,
                          gpu_share=gpu_share, vram=vram))

    @property
    def pack(self) -> Pack:
        """The open pack."""
        return self.models.pack

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages of a run, in order: from a prompt alone in packs that take one, else from a picture alone."""
        return RECIPES[default_route(self.pack.manifest)].stages

    def stages_of(self, request: Request) -> tuple[str, ...]:
        """The names of the stages that this request goes through, in order. InputError if the pack cannot serve it."""
        return RECIPES[choose_route(request, self.pack.manifest)].stages

    def generate(self, prompt: str | Request = "", *, on_event: Callable[[Event], None] | None = None,
                 **options: Unpack[RequestOptions]) -> Generation:
        """Make one mesh. Options are those of `Request.load`: image (a path, or what `read_picture` gives), seed, steps, guidance, ...

        on_event : called with every event of `stream`; what it raises (`Cancelled`, say) ends the run
        """
        with closing(self.stream(prompt, **options)) as events:
            for event in events:
                if on_event is not None:
                    on_event(event)
                if isinstance(event, Result):
                    return event.generation
        raise AssertionError("a run ends with its result")

    def refine(self, mesh: Mesh | MeshFile | File, prompt: str, *, on_event: Callable[[Event], None] | None = None,
               **options: Unpack[GenerationOptions]) -> Generation:
        """Redraw a mesh as the prompt says: `generate` with a mesh in place of the coarse shape.

        mesh : in world axes and within a sphere of radius 1 or so; or a GLB, glTF or OBJ file, or what `read_mesh` gives, in
            whose place, size and units the result is saved
        """
        if mesh is None:
            raise InputError("there is no mesh to refine", expected="a mesh, or the path of one")
        return self.generate(prompt, on_event=on_event, mesh=mesh, **options)

    def texture(self, mesh: Mesh | MeshFile | File, prompt: str = "", *, image: Picture | File | None = None,
                on_event: Callable[[Event], None] | None = None, **options: Unpack[GenerationOptions]) -> Generation:
        """Give a mesh another look: its vertices, faces and texture coordinates stay as they are, to the bit.

        Its six views are redrawn as the prompt says, and projected onto it. What no view sees is filled from what is near on the surface.
        mesh : as of `refine`. Without texture coordinates it gets some, and vertices are repeated along their seams. Where several faces
            share a part of the texture they get the same colours, and there is a notice. A file without normals gets those of its
            faces, each of which then has vertices of its own
        image : in place of a prompt, or with one: the mesh as the pack's first view shows it, which that picture then is
        The `mesh` of the result is in the place and units of the file. `faces` and `texture_from` are no options here.
        """
        if mesh is None:
            raise InputError("there is no mesh to texture", expected="a mesh, or the path of one")
        return self.generate(prompt, on_event=on_event, mesh=mesh, image=image, route="texture", **options)

    def stream(self, prompt: str | Request = "", **options: Unpack[RequestOptions]) -> Generator[Event, None, None]:
        """Yield progress and early results; the last event is a `Result`.

        Files are read and the request is checked at once, the work starts with the first event asked for. Closing the
        generator cancels the run: at the latest when the step that is being computed is done.
        """
        request = make_request(prompt, options)
        return self._run_lock.stream(self._run(request, choose_route(request, self.pack.manifest)))

    def prewarm(self, components: Iterable[str] | None = None) -> None:
        """Open the model files now, all or those named, instead of in the first run."""
        self.models.prewarm(components)

    def load_lora(self, file: str | os.PathLike[str], scale: float = 1.0, component: str | None = None, *,
                  on_event: Callable[[Event], None] | None = None) -> None:
        """Change how the views are drawn by a LoRA, on top of those that are on already.

        file : .safetensors, in diffusers' layout
        scale : -100 to 100, how strongly
        component : "refiner_step" or "views_step"; None for the first of them that the pack has
        on_event : called with `EngineBuild`s, twice a second, while TensorRT builds an engine with the new weights, which may take
            minutes; the last four of a component are kept. What it raises (`Cancelled`, say) ends the build, and all is as before.
        The golden inputs are replayed: finite everywhere, and on a GPU as on the CPU. Without a build, takes as long as opening
        the component.
        Errors: InputError (with the layers that the network does not have, or that do not fit), BackendError; all is then as before.
        """
        def load(check: Callable[[], None]) -> None:
            def on_build(name: str, share: float) -> None:
                check()
                if on_event is not None:
                    on_event(EngineBuild(name, share))

            self.loras.load(Path(file), scale, component, on_build)

        self._run_lock.call(load)

    def unload_lora(self) -> None:
        """Take all LoRAs off: every weight is that of the pack's files again. Without any, does nothing.

        Errors: BackendError if a component does not give its golden outputs afterwards.
        """
        self._run_lock.call(lambda check: self.loras.unload())

    def close(self) -> None:
        """Give the model files back; a later run opens them again.

        May be called from any thread. A run that is under way ends first, when the step that is being computed is done: whoever
        asks it for a further event gets Cancelled. InputError from within `load_lora`'s `on_event`.
        """
        self._run_lock.close(self.models.close)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self, request: Request, route: str) -> Generator[Event, None, None]:
        started, log = time.perf_counter(), _RunLog()
        self.models.open_ahead(RECIPES[route].components)
        try:
            mesh = yield from log.record(RECIPES[route].run(self.models, request))
        except BackendError:
            # What a backend that failed still holds may be of no use: the next run opens everything anew.
            self.models.close()
            raise
        finally:
            self.models.stop_opening()
        timings = log.timings | {"loading": log.loading, "total": time.perf_counter() - started}
        yield Result(Generation(mesh, log.stages(), timings, tuple(log.notices), self._provenance(request, route),
                                self.pack.manifest.metres_per_unit, log.peak_memory, log.device_memory,
                                _placement(request, route), request.sources,
                                known_size(self.pack.manifest.sizes, request.prompt)))

    def _provenance(self, request: Request, route: str) -> dict[str, Any]:
        manifest = self.pack.manifest
        precisions = sorted({component.precision for component in manifest.components.values()})
        return {
            "prompt": request.prompt, "route": route, **describe_inputs(request), "seed": request.seed,
            "options": self._options(request, route),
            "pack": {"name": manifest.name, "version": manifest.version, "sha256": self.pack.hash},
            "precision": precisions, **self.models.provenance(),
            **({"lora": [each.describe() for each in self.loras.applied]} if self.loras.applied else {}),
            "license": {**asdict(manifest.license), "notes": list(manifest.license.notes)},
            "sources": [source.describe() for source in dict.fromkeys(manifest.sources)],
        }

    def _options(self, request: Request, route: str) -> dict[str, Any]:
        """What was used: the request's options, and the pack's where it has none."""
        manifest = self.pack.manifest
        drawing = view_loop(route, manifest)
        used = _used(drawing_settings(request, manifest, drawing), drawing)
        if route in ("text", "coarse"):
            used |= {f"prior_{name}": value for name, value in _used(coarse_settings(request, manifest), required(manifest.prior)).items()}
        used["texture"] = texture_size(request, manifest)
        if route != "texture":
            used |= {"faces": request.faces or manifest.finish.faces, "texture_from": request.texture_from or manifest.texture_from}
        if request.control is not None:
            used["control_scale"] = 1.0 if request.control_scale is None else request.control_scale
        return used


def _placement(request: Request, route: str) -> Placement | None:
    """From the mesh of a result to that of the file that it was made from."""
    placement = None if request.mesh is None else request.mesh.placement
    return Placement() if placement is not None and route == "texture" else placement


def _used(settings: LoopSettings, loop: Diffusion) -> dict[str, Any]:
    """How a loop was run; sampler and interval where they are not the pack's own."""
    used: dict[str, Any] = {"steps": settings.steps, "guidance": settings.guidance}
    if settings.schedule != loop.schedule:
        used["sampler"] = settings.sampler
    if settings.interval is not None:
        used["guidance_interval"] = list(settings.interval)
    if settings.deep_every > 1:
        used["deep_cache"] = settings.deep_every
    return used


class _RunLog:
    """What the events of a run have told so far."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self.peak_memory: dict[str, int] = {}
        self.device_memory: dict[str, int] = {}
        self.loading = 0.0
        self.notices: list[str] = []
        self._early: dict[type, Any] = {}
        self._cutouts: list[Cutout] = []

    def record(self, recipe: Generator[Event, None, Mesh]) -> Generator[Event, None, Mesh]:
        """Pass the events of `recipe` on, and note them; return what it returns."""
        with closing(recipe):
            while True:
                try:
                    event = next(recipe)
                except StopIteration as end:
                    mesh: Mesh = end.value
                    return mesh
                self._add(event)
                yield event

    def stages(self) -> Stages:
        early = self._early
        return Stages(early[CoarseMesh].mesh if CoarseMesh in early else None,
                      early[CoarseViews].images if CoarseViews in early else None,
                      early[Views].images, early[Surface].mesh, tuple(self._cutouts))

    def _add(self, event: Event) -> None:
        if isinstance(event, StageDone):
            self.timings[event.stage] = event.seconds
            self.loading += event.loading
            if event.peak_bytes is not None:
                self.peak_memory[event.stage] = event.peak_bytes
            if event.device_bytes is not None:
                self.device_memory[event.stage] = event.device_bytes
        elif isinstance(event, Notice):
            if event.message not in self.notices:
                self.notices.append(event.message)
        elif isinstance(event, Cutout):
            self._cutouts.append(event)
        else:
            self._early[type(event)] = event


def make_request(prompt: str | Request, options: RequestOptions) -> Request:
    """A checked request; InputError as `Request.load`."""
    return replace(prompt, **load_options(options)) if isinstance(prompt, Request) else Request.load(prompt, **options)

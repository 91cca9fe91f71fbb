"""`Pipeline`: an open pack that turns prompts and pictures into meshes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from ..engines.errors import BackendError, InputError
from .assets.placing import known_size
from .backends.models import Models
from .events import CoarseMesh, CoarseViews, EngineBuild, Event, Result, Surface, Views
from .files.reader import MeshFile, Placement
from .geometry.mesh import Mesh
from .images.pictures import Picture
from .lora import Loras
from .pack.pack import Pack
from .provenance import provenance
from .recipes import continued, dmv3d, instantmesh, look, one_2_3_45, sharp_it
from .recipes.routes import PLANES, choose_route, default_route
from .request import Request
from .request_options import File, GenerationOptions, RequestOptions, load_options
from .results import Generation
from .run_lock import RunLock
from .run_log import RunLog
from .saved_run import KEPT, SavedRun


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
           "views": Recipe(instantmesh.instantmesh, instantmesh.STAGES, instantmesh.COMPONENTS),
           "voxels": Recipe(one_2_3_45.one_2_3_45, one_2_3_45.STAGES, one_2_3_45.COMPONENTS),
           "planes": Recipe(dmv3d.from_text, dmv3d.STAGES, dmv3d.COMPONENTS),
           "planes-picture": Recipe(dmv3d.from_picture, dmv3d.PICTURE_STAGES, dmv3d.COMPONENTS),
           "run": Recipe(continued.from_run, ("texture",), continued.COMPONENTS)}


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
        return _stages(request, self._route(request))

    def _route(self, request: Request) -> str:
        """InputError if the pack cannot serve the request."""
        manifest = self.pack.manifest
        if request.run is not None:
            request.run.require_pack(manifest.name, manifest.version, self.pack.hash)
        return choose_route(request, manifest)

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
        return self._run_lock.stream(self._run(request, self._route(request)))

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
        started, log = time.perf_counter(), RunLog()
        self.models.open_ahead(_components(request, route))
        try:
            mesh = yield from log.record(RECIPES[route].run(self.models, request))
        except BackendError:
            # What a backend that failed still holds may be of no use: the next run opens everything anew.
            self.models.close()
            raise
        finally:
            self.models.stop_opening()
        timings = log.timings | {"loading": log.loading, "total": time.perf_counter() - started}
        yield Result(Generation(mesh, log.stages(), timings, tuple(log.notices), provenance(self.models, self.loras, request, route),
                                self.pack.manifest.metres_per_unit, log.peak_memory, log.device_memory,
                                _placement(request, route), request.sources,
                                known_size(self.pack.manifest.sizes, _prompt_of_the_shape(request)), self._saved(request, route, log)))

    def _saved(self, request: Request, route: str, log: RunLog) -> SavedRun | None:
        """The run up to its surface; None where that is a mesh of the user's, and where no planes hold its colours."""
        if request.run is not None or route in ("texture", "voxels", *PLANES):
            return None if request.run is None else replace(request.run, request=_kept(continued.continued(request)), folder=None)
        surface, manifest = log.first(Surface), self.pack.manifest
        coarse, guide = (log.first(kind) if log.has(kind) else None for kind in (CoarseMesh, CoarseViews))
        return SavedRun({"name": manifest.name, "version": manifest.version, "sha256": self.pack.hash}, route, _kept(request),
                        provenance(self.models, self.loras, request, route), surface.mesh, surface.planes, log.first(Views).images,
                        None if coarse is None else coarse.mesh, None if guide is None else guide.images,
                        tuple((cutout.azimuth, Picture.of(cutout.crop)) for cutout in log.cutouts), _placement(request, route))


def _stages(request: Request, route: str) -> tuple[str, ...]:
    """The names of the stages of a request."""
    *stages, last = RECIPES[route].stages
    if not request.textured:
        return (*stages, "mesh")
    drawn = continued.draws(request) if route == "run" else look.redraws(request)
    return (*stages, *((look.STAGE,) if drawn else ()), last)


def _components(request: Request, route: str) -> tuple[str, ...]:
    """The kinds of the components that a request runs, in the order of their first use."""
    return continued.REDRAWING_COMPONENTS if route == "run" and continued.draws(request) else RECIPES[route].components


def _prompt_of_the_shape(request: Request) -> str:
    return request.prompt if request.run is None else str(request.run.request.get("prompt", ""))


def _kept(request: Request) -> dict[str, Any]:
    """What a continued run takes from its request: plain JSON."""
    found = {name: value for name in KEPT if (value := getattr(request, name)) != getattr(Request, name)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _placement(request: Request, route: str) -> Placement | None:
    """From the mesh of a result to that of the file that it was made from."""
    if request.run is not None:
        return request.run.placement
    placement = None if request.mesh is None else request.mesh.placement
    return Placement() if placement is not None and route == "texture" else placement


def make_request(prompt: str | Request, options: RequestOptions) -> Request:
    """A checked request; InputError as `Request.load`."""
    return replace(prompt, **load_options(options)) if isinstance(prompt, Request) else Request.load(prompt, **options)

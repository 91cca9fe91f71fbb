"""Where a mesh came from, as its file says it: prompt, seeds, options, pack, licences."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .backends.models import Models
from .lora import Loras
from .pack.manifest import Diffusion, Manifest, required
from .recipes import continued
from .recipes.routes import view_loop
from .recipes.settings import LoopSettings, coarse_settings, drawing_settings, texture_size, texture_source
from .request import Request, describe_inputs
from .saved_run import SavedRun


def provenance(models: Models, loras: Loras, request: Request, route: str) -> dict[str, Any]:
    """Of the result of a request: plain JSON."""
    manifest = models.pack.manifest
    if request.run is not None:
        return _continued_provenance(models, loras, request, request.run)
    precisions = sorted({component.precision for component in manifest.components.values()})
    return {
        "prompt": request.prompt, "route": route, **describe_inputs(request), "seed": request.seed,
        **{name: seed for name in ("geometry_seed", "texture_seed") if (seed := getattr(request, name)) is not None},
        "options": _options(manifest, request, route),
        "pack": {"name": manifest.name, "version": manifest.version, "sha256": models.pack.hash},
        "precision": precisions, **models.provenance(),
        **({"lora": [each.describe() for each in loras.applied]} if loras.applied else {}),
        "license": {**asdict(manifest.license), "notes": list(manifest.license.notes)},
        "sources": [source.describe() for source in dict.fromkeys(manifest.sources)],
    }


def _continued_provenance(models: Models, loras: Loras, request: Request, run: SavedRun) -> dict[str, Any]:
    """That of the run, with what has changed since."""
    whole = continued.continued(request)
    found: dict[str, Any] = dict(run.provenance)
    options = {**found.get("options", {}), **_options_of_the_mesh(models.pack.manifest, whole, run.route)}
    if continued.draws(request):
        drawing = required(models.pack.manifest.refiner)
        used = _used(drawing_settings(whole, models.pack.manifest, drawing, edit=continued.changes_prompt(request)), drawing)
        found["look"] = {"prompt": whole.prompt, "seed": whole.look_seed, **used}
        if loras.applied:
            found["look"]["lora"] = [each.describe() for each in loras.applied]
    return {**found, "options": options, **({"continued_from": run.sha256} if run.sha256 else {})}


def _options(manifest: Manifest, request: Request, route: str) -> dict[str, Any]:
    """What was used: the request's options, and the pack's where it has none."""
    drawing = view_loop(route, manifest)
    used = _used(drawing_settings(request, manifest, drawing), drawing)
    if route in ("text", "coarse"):
        used |= {f"prior_{name}": value for name, value in _used(coarse_settings(request, manifest), required(manifest.prior)).items()}
    if route == "texture":
        used["texture"] = texture_size(request, manifest)
    else:
        used |= _options_of_the_mesh(manifest, request, route)
    if request.control is not None:
        used["control_scale"] = 1.0 if request.control_scale is None else request.control_scale
    return used


def _options_of_the_mesh(manifest: Manifest, request: Request, route: str) -> dict[str, Any]:
    """Of what comes behind the surface."""
    faces: dict[str, Any] = {"faces": request.faces or manifest.finish.faces}
    if not request.textured:
        return {"texture": None, **faces, "texture_from": None}
    return {"texture": texture_size(request, manifest), **faces, "texture_from": texture_source(request, manifest, route)}


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

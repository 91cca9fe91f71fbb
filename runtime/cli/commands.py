"""What the commands of the command line do."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...engines.errors import InputError, printable
from ..assets.asset import Asset, steps
from ..assets.options import AssetOptions
from ..backends.candidates import CPU
from ..backends.models import verify_pack
from ..files.reader import read_mesh
from ..geometry.topology import is_watertight
from ..images import MATTES
from ..images.pictures import MAX_BYTES, Picture, picture_of
from ..pack.pack import MANIFEST, Pack
from ..pipeline import Pipeline
from ..recipes.routes import choose_route, drawing_component
from ..request import Request
from ..request_options import RequestOptions
from ..results import Generation
from .asset_options import asset_options
from .progress import Progress
from .targets import Source, Targets

STANDARD_INPUT = "-"
MAX_VARIANTS = 1000


def generate(options: Namespace) -> int:
    """Make one mesh, or one for each seed. What can be refused is refused before the work starts."""
    pack = Pack.open(options.pack, verify=False)
    if options.commercial:
        pack.require_commercial_use()
    assets, variants = asset_options(options), _variants(options)
    # First, because it mends what a killed run left of a mesh that is to be read.
    for targets in variants.values():
        targets.check([*_named(options), *map(pack.path, (MANIFEST, *pack.manifest.files))])
    progress = Progress(sys.stderr, quiet=options.quiet)
    request = _request(options, assets, progress)
    for targets in variants.values():
        targets.check_sources(request.sources)
    requests = [_variant(request, seed) for seed in variants] if options.seeds is not None else [request]
    with _open(options, options.pack) as pipe:
        progress.stages = pipe.stages_of(request)
        try:
            _load_lora(pipe, request, options, progress)
        finally:
            progress.clear()
        reports = [_make(pipe, *each, options, progress) for each in zip(requests, variants.values(), strict=True)]
    if options.json:
        print(json.dumps(reports[0] if options.seeds is None else {"variants": reports}, indent=2))
    return 0


def texture(options: Namespace) -> int:
    """As `generate`, for a mesh that is there already: a file, or the shape of a saved run."""
    if options.run is None:
        if options.mesh is None:
            raise InputError("there is no mesh", expected="a file, or a saved run with --from")
    else:
        if options.prompt:
            raise InputError("a mesh and a run are given", received=f"{options.mesh} and {options.run}", expected="one of them")
        options.mesh, options.prompt, options.route = None, options.mesh or "", None
    return generate(options)


def _variant(request: Request, seed: int) -> Request:
    """The request with another seed: of the look alone, where the shape is there."""
    if request.run is None:
        return replace(request, seed=seed)
    if request.texture_seed is not None:
        raise InputError("the look has two seeds", received="texture_seed, and seeds", expected="one of them")
    return replace(request, texture_seed=seed)


def _make(pipe: Pipeline, request: Request, targets: Targets, options: Namespace, progress: Progress) -> dict[str, Any]:
    """Make one mesh and write it. Gives what `--json` says of it."""
    progress.stages = (*pipe.stages_of(request), *(() if targets.assets is None else steps(targets.assets)))
    try:
        made = pipe.generate(request, on_event=progress)
        asset = None if targets.assets is None else made.asset(
            targets.assets, made_for=options.engine or "", strict=options.collision is not None, on_step=progress.step)
    finally:
        progress.clear()
    for notice in () if asset is None else asset.notices:
        progress.note(notice)
    written = targets.write(asset or made, made)
    seconds = made.timings["total"] + (0 if asset is None else sum(asset.timings.values()))
    if not options.json and not options.quiet:
        print(f"{written[0]}: {len(made.mesh.faces):,} triangles in {seconds:.1f} s")
    return _report(made, asset, written)


def verify(options: Namespace) -> int:
    """Print the error of each component; 1 if one is out of its tolerance."""
    passed = True
    Pack.open(options.pack, rehash=True)  # every byte, whatever is remembered of the files
    with _open(options, options.pack) as pipe:
        print(f"{pipe.pack.manifest.name} {pipe.pack.manifest.version}  {pipe.pack.folder}  every hash fits")
        for check in verify_pack(pipe.models):
            passed &= check.passed
            state = "ok" if check.passed else f"OUT OF TOLERANCE {check.problem}".rstrip()
            print(f"{check.component:<20} relative error {check.relative:9.2e}"
                  f"  tolerance {check.tolerance:7.1e}  {_where(pipe, check.component)}{state}")
        for message in pipe.models.notices():
            print(f"note: {message}", file=sys.stderr)
    return 0 if passed else 1


def _where(pipe: Pipeline, component: str) -> str:
    """What a component was run on, where that was not the processor."""
    candidate = pipe.models.backends.used.get(component)
    return "" if candidate is None or candidate.providers[:1] == (CPU,) else f"on {candidate}  "


def doctor(options: Namespace) -> int:
    """Print what this machine has and what would run each pack on it; 1 if something that is installed is broken."""
    from .doctor import examine
    from .doctor_page import page

    report = examine(options.pack)
    print(json.dumps(report, indent=2) if options.json else printable(page(report)))
    return 0 if report["ok"] else 1


def _request(options: Namespace, assets: AssetOptions | None, progress: Progress) -> Request:
    """What the options ask for; the files are read here."""
    given = request_options(options)
    if assets is not None:
        given |= assets.of_the_request(given.get("textured", True))
    if "mesh" in given:
        given["mesh"] = read_mesh(given["mesh"], progress.reading(Path(given["mesh"])))
    given["views"] = [_view(statement) for statement in given.get("views", ())]
    return Request.load(options.prompt or "", **with_standard_input(given))


def request_options(options: Namespace) -> dict[str, Any]:
    """Those of `Request.load` that are given, with paths for files."""
    given = {name: value for name in RequestOptions.__annotations__ if (value := getattr(options, name, None)) is not None}
    for name in ("guidance_interval", "prior_guidance_interval"):
        if name in given:
            given[name] = _interval(name, given[name])
    return given


def _view(statement: str) -> tuple[float, str]:
    """The azimuth and the file that AZIMUTH=FILE names."""
    azimuth, _, file = statement.partition("=")
    try:
        degrees = float(azimuth)
    except ValueError:
        file = ""
    if not file:
        raise InputError("a view is not AZIMUTH=FILE", received=repr(statement), expected="such as 90=side.png")
    return degrees, file


def _interval(name: str, statement: str) -> tuple[float, float]:
    """The ends that LOW:HIGH says."""
    low, _, high = statement.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise InputError(f"{name.replace('_', '-')} is not LOW:HIGH", received=repr(statement), expected="such as 0.3:5") from None


def _load_lora(pipe: Pipeline, request: Request, options: Namespace, progress: Progress) -> None:
    """Put the LoRA on the network that draws the views of this request."""
    if options.lora is not None:
        drawing = drawing_component(choose_route(request, pipe.pack.manifest))
        pipe.load_lora(options.lora, 1.0 if options.lora_scale is None else options.lora_scale, drawing, on_event=progress)
    else:
        check_lora(options)


def check_lora(options: Namespace) -> None:
    """InputError for the scale of none."""
    if options.lora is None and options.lora_scale is not None:
        raise InputError("lora-scale is given without a LoRA", remedy="give one with --lora, or leave it out")


def _variants(options: Namespace) -> dict[int, Targets]:
    """Where to write the mesh, the picture and the stages of each seed; with the seed behind each name, where `--seeds` says them."""
    output = Path(options.output)
    preview, stages, run = (Path(name) if name else None for name in (
        options.preview, options.keep_stages, getattr(options, "save_run", None)))
    assets = asset_options(options)
    if options.seeds is None:
        return {options.seed: Targets(output, preview, stages, assets, run)}

    def numbered(path: Path, seed: int) -> Path:
        return path.with_name(f"{path.stem}_{seed}{path.suffix}")

    return {seed: Targets(numbered(output, seed), preview and numbered(preview, seed), stages and numbered(stages, seed), assets,
                          run and numbered(run, seed))
            for seed in _seeds(options.seeds)}


def _seeds(statement: str) -> list[int]:
    """The seeds that FIRST-LAST or a list with commas says, each once."""
    found: dict[int, None] = {}
    for part in statement.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or not 0 <= int(last or first) - int(first) < MAX_VARIANTS:
            raise InputError("seeds are not FIRST-LAST, or a list", received=repr(statement),
                             expected=f"such as 0-3 or 1,5,8, at most {MAX_VARIANTS}")
        found |= dict.fromkeys(range(int(first), int(last or first) + 1))
    return list(found)


def _named(options: Namespace) -> list[Source]:
    """The files that the options name for reading; standard input, which may be a file too, by its descriptor."""
    named = [getattr(options, name, None) for name in ("image", "matte", "control", "mesh", "lora")]
    named += [file for _, file in map(_view, getattr(options, "views", ()))]
    return [0 if name == STANDARD_INPUT else Path(name) for name in named if name not in (None, *MATTES)]


def _open(options: Namespace, pack: str) -> Pipeline:
    if options.build:
        build_engines(options, Pack.open(pack))
    return Pipeline.open(pack, measure_memory=getattr(options, "json", False), **engine_options(options))


def build_engines(options: Namespace, pack: Pack) -> None:
    """Build the engines that the pack lacks, where that is asked for."""
    if options.build:
        from .build_command import build_missing

        pack.require_trust()
        build_missing(pack, options.backend, quiet=getattr(options, "quiet", False))


def engine_options(options: Namespace) -> dict[str, Any]:
    """What the options say of how models are run, as `Pipeline.open` and `Models` take it."""
    providers = None if options.providers is None else tuple(name for name in options.providers.split(",") if name)
    return {"backend": options.backend, "threads": options.threads, "providers": providers, "memory": options.memory,
            "gpu_share": options.gpu_share, "vram": options.vram}


def _report(made: Generation, asset: Asset | None, written: list[Path]) -> dict[str, Any]:
    mesh = {"vertices": len(made.mesh.vertices), "faces": len(made.mesh.faces),
            "watertight": is_watertight(made.mesh)}
    return {"files": [str(path) for path in written], "mesh": mesh, "notices": list(made.notices), **made.extras,
            **({} if asset is None else {"asset": asset.describe(), "notices": [*made.notices, *asset.notices]}),
            "memory": dict(made.peak_memory), "device_memory": dict(made.device_memory)}


def with_standard_input(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a request with the picture of standard input in the place of the "-" among them.

    Errors: InputError where standard input is asked for twice, is closed, or is no picture.
    """
    names = ("image", "matte", "control")
    pictures: list[object] = [options.get(name) for name in names] + [file for _, file in options.get("views", ())]
    asked = sum(isinstance(picture, str) and picture == STANDARD_INPUT for picture in pictures)
    if not asked:
        return options
    if asked > 1:
        raise InputError("standard input holds one picture", received=f"{STANDARD_INPUT} {asked} times", expected=f"{STANDARD_INPUT} once")
    picture = _picture()
    given: dict[str, Any] = {name: picture if name in names and value == STANDARD_INPUT else value for name, value in options.items()}
    if "views" in given:
        given["views"] = [(azimuth, picture if file == STANDARD_INPUT else file) for azimuth, file in given["views"]]
    return given


def _picture() -> Picture:
    try:
        if sys.stdin is None:
            raise ValueError("it is closed")
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError("the picture on standard input cannot be read", received=getattr(error, "strerror", None) or str(error),
                         expected="a picture") from error
    return picture_of(data, "standard input", profile=True)

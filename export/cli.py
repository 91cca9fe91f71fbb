"""The command line: `meshwright export sharp-it` and `meshwright export instantmesh`.

Thin, like runtime.cli: it reads options, calls the library and prints. Nothing heavy is imported until the options
have been read. Exit codes: 0 done; 1 a component could not be exported, or the pack not be written; 2 bad input
or a missing package.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .published.choices import (
    BACKGROUNDS,
    COARSE_ENCODINGS,
    POSTERIORS,
    SAMPLERS,
    SHADINGS,
    SPACINGS,
    TEXTURE_SOURCES,
    UNCONDITIONAL_COARSE,
    InstantMeshChoices,
    SharpItChoices,
)

if TYPE_CHECKING:
    from .published.plan import Plan
    from .spec import Precision

BAD_INPUT, FAILED = 2, 1
PRECISIONS = ("fp32", "fp16", "fp16-compute", "int8")
# What `generate` takes: a pack's own defaults must not be beyond it.
MAX_STEPS, MAX_GUIDANCE = 1000, 100.0
PLACES = "What is no path on this machine is looked for on the Hugging Face hub, as ORG/NAME or ORG/NAME/FILE."
# What the extra `export` installs, and what they are imported as.
PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "onnx", "onnxscript", "onnx_ir")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `meshwright export ARGUMENTS` and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return _export(options)
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in PACKAGES:
            raise
        return _fail(f"the package {error.name} is not installed; pip install 'meshwright[export]'", BAD_INPUT)


def build_parser() -> argparse.ArgumentParser:
    """The options of both recipes; their defaults are those of the choices' dataclasses."""
    parser = _Parser(prog="meshwright export", description="Make a pack from published checkpoints.")
    recipes = parser.add_subparsers(dest="recipe", required=True, metavar="RECIPE", parser_class=_Parser)
    for name, add, what in (("sharp-it", _add_sharp_it, "text, or a picture, to a mesh by Shap-E, Sharp-It and InstantMesh"),
                            ("instantmesh", _add_instantmesh, "a picture to a mesh by Zero123++ and InstantMesh")):
        add(recipes.add_parser(name, help=what, description=f"A pack for {what}.", epilog=PLACES))
    return parser


def _add_sharp_it(parser: argparse.ArgumentParser) -> None:
    add, default = parser.add_argument, SharpItChoices()
    add("--refiner", metavar="DIR", required=True, help="folder of the Sharp-It UNet (YiftachEde/Sharp-It)")
    add("--zero123plus", metavar="DIR", required=True, help="folder of sudo-ai/zero123plus-v1.2, for its text encoder and autoencoder")
    add("--shap-e", metavar="DIR", required=True, help="folder of openai/shap-e, or of openai/shap-e-img2img to start from a picture")
    _add_reconstructor(parser)
    _add_output(parser)
    group = parser.add_argument_group("defaults of `generate`")
    _add_loop(group, default)
    group.add_argument("--prior-steps", type=_steps, default=default.prior_steps, help="of the coarse shape (default %(default)s)")
    group.add_argument("--prior-guidance", type=_guidance, help="of the coarse shape (default 15 from a text, 3 from a picture)")
    add = parser.add_argument_group("what the published files leave open").add_argument
    _add_shared(add, default)
    add("--sampler", choices=SAMPLERS, default=default.sampler, help="of Shap-E: its own, or that of diffusers (default %(default)s)")
    add("--coarse-encoding", choices=COARSE_ENCODINGS, default=default.coarse_encoding,
        help="coarse latents scaled like the ones that are drawn, or not at all (default %(default)s)")
    add("--coarse-posterior", choices=POSTERIORS, default=default.coarse_posterior,
        help="coarse latents drawn from the autoencoder's distribution, or its mode (default %(default)s)")
    add("--uncond-coarse", choices=UNCONDITIONAL_COARSE, default=default.uncond_coarse,
        help="what the unconditional half sees in place of the coarse views (default %(default)s)")
    add("--scale-coarse", action="store_true", help="scale the coarse latents by the noise level, as the noisy ones are")
    add("--deep-cache", action="store_true", help="also export what generate --deep-cache needs: the refiner's deep features, and a step"
                                                  " that takes them")
    add("--no-shrink", dest="shrink", action="store_false", help="leave out the shrinking by 127/129 of Shap-E's own mesh decoder")
    add("--coarse-points", type=_whole(3), default=default.coarse_points, metavar="N",
        help="points along a side of the coarse grid (default %(default)s)")
    add("--coarse-distance", type=_positive, default=default.coarse_distance, metavar="D",
        help="of the cameras around the coarse mesh, as the author's helper takes it (default %(default)s)")
    add("--shading", choices=SHADINGS, default=default.shading, help="light on the coarse views (default %(default)s)")
    add("--elevations", type=_angles, default=default.elevations, metavar="A,B", help="of the views in degrees, repeated (default 20,-10)")


def _add_instantmesh(parser: argparse.ArgumentParser) -> None:
    add, default = parser.add_argument, InstantMeshChoices()
    add("--zero123plus", metavar="DIR", required=True, help="folder of sudo-ai/zero123plus-v1.1 or -v1.2")
    add("--unet", metavar="FILE", help="InstantMesh's white-background UNet, diffusion_pytorch_model.bin (default: Zero123++'s own)")
    add("--controlnet", metavar="DIR", help="folder of a ControlNet for Zero123++, such as sudo-ai/controlnet-zp11-depth-v1")
    _add_reconstructor(parser)
    _add_output(parser)
    _add_loop(parser.add_argument_group("defaults of `generate`"), default)
    add = parser.add_argument_group("what the published files leave open").add_argument
    _add_shared(add, default)
    add("--background", choices=tuple(BACKGROUNDS), default=default.background,
        help="behind the object (default: what the UNet was trained on, white with --unet and grey 127 without)")
    add("--posterior", choices=POSTERIORS, default=default.posterior,
        help="of the picture that is looked at: drawn, or the mode (default %(default)s)")
    add("--elevations", type=_angles, metavar="A,B",
        help="of the views in degrees, repeated (default: those of the version, 30,-20 for 1.1 and 20,-10 for 1.2)")


def _add_reconstructor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--instantmesh", metavar="FILE", help="instant_mesh_base.ckpt or instant_mesh_large.ckpt")
    group.add_argument("--instantnerf", metavar="FILE", help="instant_nerf_base.ckpt or instant_nerf_large.ckpt, in its place")


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--output", metavar="DIR", required=True, type=_folder, help="the new pack; an existing pack is replaced")
    add("--name", help="of the pack (default: that of the folder)")
    add("--precision", choices=PRECISIONS, default="fp16",
        help="fp32; fp16: stored in half precision and calculated in single, for any machine; fp16-compute: calculated in half"
             " too, for GPUs; int8: layers stored in 8 bits and calculated in single, for small packs (default %(default)s)")
    add("--seed", type=_whole(0), default=0, help="of the inputs that the graphs are compared on (default 0)")
    add("--quiet", action="store_true", help="print errors only")


def _add_loop(group: argparse._ArgumentGroup, default: SharpItChoices | InstantMeshChoices) -> None:
    group.add_argument("--steps", type=_steps, default=default.steps, help="of the loop that draws the views (default %(default)s)")
    group.add_argument("--guidance", type=_guidance, default=default.guidance, help="of the same (default %(default)s)")
    group.add_argument("--texture-from", choices=TEXTURE_SOURCES, default=default.texture_from, help="(default %(default)s)")


def _add_shared(add: Any, default: SharpItChoices | InstantMeshChoices) -> None:
    add("--view-size", type=_multiple_of_16, default=default.view_size, metavar="PIXELS", help="along a view (default %(default)s)")
    add("--spacing", choices=SPACINGS, default=default.spacing,
        help="of the timesteps: trailing, as all official scripts have it, or as the scheduler's file says (default %(default)s)")
    add("--grid-resolution", type=_whole(3), metavar="N", help="of the final field (default 128 cells for a mesh, 256 points for a NeRF)")


def _export(options: argparse.Namespace) -> int:
    from ..engines.errors import MeshwrightError
    from .pack.folder import check_target
    from .pack.progress import Lines

    try:
        check_target(options.output)
        plan = _plan(options)
        for notice in dict.fromkeys(plan.notices):
            _say(options, f"note: {notice}")
        plan.check()
    except MeshwrightError as error:
        return _fail(str(error), BAD_INPUT)
    try:
        document = plan.write(options.output, options.name or options.output.resolve().name, seed=options.seed,
                              on_component=None if options.quiet else Lines(sys.stderr, plan.count))
    except MeshwrightError as error:
        return _fail(str(error), FAILED)
    licence = document["license"]
    _say(options, f"{options.output}: licence {licence['id']}, commercial use: {licence['commercial_use']}")
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    from .published.instantmesh import InstantMeshPaths, instantmesh
    from .published.sharp_it import SharpItPaths, sharp_it
    from .published.sources import resolve

    variant, file = ("nerf", options.instantnerf) if options.instantmesh is None else ("mesh", options.instantmesh)
    shared: dict[str, Any] = {"zero123plus": resolve(options.zero123plus), "reconstructor": resolve(file), "variant": variant}
    precision = _precision(options.precision)
    if options.recipe == "sharp-it":
        paths = SharpItPaths(refiner=resolve(options.refiner), shap_e=resolve(options.shap_e), **shared)
        return sharp_it(paths, _choices(SharpItChoices, options), precision)
    optional: dict[str, Any] = {name: resolve(value) for name in ("unet", "controlnet") if (value := getattr(options, name)) is not None}
    return instantmesh(InstantMeshPaths(**optional, **shared), _choices(InstantMeshChoices, options), precision)


def _choices(kind: type, options: argparse.Namespace) -> Any:
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


def _precision(name: str) -> Precision:
    from .spec import FP16, FP16_STORED, FP32, INT8

    return {"fp32": FP32, "fp16": FP16_STORED, "fp16-compute": FP16, "int8": INT8}[name]


def _folder(text: str) -> Path:
    return Path(os.path.expanduser(text))


def _whole(minimum: int, maximum: int | None = None) -> Any:
    def whole(text: str) -> int:
        number = _number(int, text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{number} is less than {minimum}")
        if maximum is not None and number > maximum:
            raise argparse.ArgumentTypeError(f"{number} is more than {maximum}")
        return number

    return whole


_steps = _whole(1, MAX_STEPS)


def _guidance(text: str) -> float:
    number = _number(float, text)
    if not 0 <= number <= MAX_GUIDANCE:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {MAX_GUIDANCE:g}")
    return number


def _positive(text: str) -> float:
    number = _number(float, text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def _multiple_of_16(text: str) -> int:
    """The autoencoder halves a view three times, and the reconstructor cuts it into patches of 16 pixels."""
    number = _number(int, text)
    if number < 16 or number % 16:
        raise argparse.ArgumentTypeError(f"{number} is not a multiple of 16")
    return number


def _angles(text: str) -> tuple[float, ...]:
    angles = tuple(_number(float, part) for part in text.split(","))
    if len(angles) not in (1, 2, 3, 6) or not all(-89.9 <= angle <= 89.9 for angle in angles):
        raise argparse.ArgumentTypeError(f"{text} is not 1, 2, 3 or 6 angles of -89.9 to 89.9")
    return angles


def _number(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole number' if kind is int else 'number'}") from None


def _say(options: argparse.Namespace, message: str) -> None:
    if not options.quiet:
        print(message, file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> int:
    print(f"meshwright: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

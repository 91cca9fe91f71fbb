"""The options of every command, and what `--help` says of them. Imports nothing heavy: ranges are checked when a command runs."""

from __future__ import annotations

import argparse
from importlib.metadata import entry_points, version
from typing import NoReturn

from .asset_options import ENGINES, add_asset_options

BAD_INPUT = 2
ENTRY_POINTS = "meshwright.commands"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of our own commands; ranges are checked by `Request`."""
    added = sorted(entry_points(group=ENTRY_POINTS).names)
    parser = _Parser(prog="meshwright", description="Text or picture to textured 3D mesh, on your own machine.",
                     epilog=f"added by installed packages: {', '.join(added)}" if added else None)
    parser.add_argument("--version", action="version", version=f"meshwright {version('meshwright')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_generate(commands.add_parser("generate", help="make a mesh from a prompt or from pictures"))
    _add_refine(commands.add_parser("refine", help="refine a mesh to match a prompt"))
    _add_texture(commands.add_parser("texture", help="give a mesh a new texture and leave everything else as it is"))
    _add_batch(commands.add_parser("batch", help="make a mesh for each line of a list; continues where it was stopped"))
    _add_finish(commands.add_parser("finish", help="prepare a mesh file for a game engine"))
    _add_lint(commands.add_parser("lint", help="check mesh files against the limits of a game engine"))
    _add_build(commands.add_parser("build", help="build TensorRT engines for a pack, or list or prune the cached ones"))
    check = commands.add_parser("verify", help="replay a pack's golden inputs on this machine")
    check.add_argument("pack", metavar="PACK", help="name or folder")
    _add_engine_options(check)
    listing = commands.add_parser("packs", help="list the packs, their licences and sizes; or trust a pack from elsewhere")
    listing.add_argument("action", nargs="?", choices=("trust", "distrust"),
                         help="trust: allow the models of the pack in FOLDER to run. A model is a program: a malicious one can crash,"
                              " never terminate, or exhaust memory. distrust: revoke that")
    listing.add_argument("folder", nargs="?", metavar="FOLDER", help="name or folder of the pack")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    look = commands.add_parser("doctor", help="report what this machine has, what would run each pack, and what is broken")
    look.add_argument("--pack", action="append", default=[], metavar="PACK", help="name or folder; repeatable (default: all found)")
    look.add_argument("--json", action="store_true", help="print one JSON object")
    _add_bench(commands.add_parser("bench", help="measure how fast a pack is on this machine"))
    _add_serve(commands.add_parser("serve", help="serve a page and an HTTP interface with a queue, on this machine"))
    return parser


def _add_bench(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("pack", nargs="?", default="props", metavar="PACK", help="name or folder (default props)")
    add("--rounds", type=int, default=3, help="meshes that are made after the first (default 3)")
    add("--steps", type=int, help="steps of the loop that draws the views (default: the pack's)")
    _add_engine_options(parser)
    add("--json", action="store_true", help="print one JSON object")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("prompt", nargs="?", default="", help='what to make, such as "a red chair with white legs"')
    add("--image", metavar="FILE", help="a picture of what to make (PNG, JPEG, WebP, BMP or GIF; - is standard input)")
    add("--view", action="append", default=[], metavar="AZIMUTH=FILE", dest="views",
        help="another picture of it, taken AZIMUTH degrees to the right of the first, such as 90=side.png; repeatable")
    add("--matte", default="auto", metavar="MATTE",
        help="how the object is separated from the background: auto, alpha, none, or FILE, white where the object is (default auto)")
    add("--recipe", help="sharp-it, instantmesh, one-2-3-45 or dmv3d, of those that the pack has (default: by what is given)")
    add("--route", help="how a picture becomes a mesh: views, voxels or coarse (default: coarse with a prompt, else the pack's)")
    add("--control", metavar="FILE", help="a control picture for the whole grid of views, for packs with a ControlNet")
    add("--control-scale", type=float, help="how strongly the views follow it (default 1)")
    _add_from(parser)
    _add_prior(parser)
    _add_making(parser)


def _add_from(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="run", metavar="DIR", help="continue a run that --save-run kept: its shape stays, and a prompt or"
                        " --texture-seed, where given, draws another look")


def _add_batch(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("list", metavar="LIST", help="text with a prompt on each line, CSV or JSON lines (.csv, .jsonl), or a folder of pictures")
    add("-o", "--output", metavar="DIR", required=True, help="folder of the results, which may be new or that of a batch to be continued")
    add("--format", default="glb", choices=("glb", "obj", "ply", "stl"), help="format of the meshes (default glb)")
    add("--jobs", type=int, metavar="N", help="processes, each with the pack's models (default: one for each GPU, or one; with --ray as"
                                              " many as there is room for)")
    add("--timeout", type=float, default=3600.0, metavar="SECONDS", help="time that one line may take (default 3600)")
    add("--ray", metavar="ADDRESS", help="spread the lines over the Ray cluster at ADDRESS, or over one on this machine: local")
    add("--count", type=int, default=1, metavar="N", help="meshes for a line without a count, with consecutive seeds (default 1)")
    add("--seed", type=int, default=0, help="seed of lines without one (default 0)")
    add("--turntable", action="store_true", help="also write a turntable GIF of each mesh")
    add("--matte", default="auto", metavar="MATTE", help="as for generate: auto, alpha or none (default auto)")
    add("--recipe", help="as for generate")
    add("--route", help="as for generate, of lines with a picture")
    add("--control", metavar="FILE", help="as for generate")
    add("--control-scale", type=float, help="as for generate")
    _add_prior(parser)
    _add_settings(parser)


def _add_prior(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--prior-steps", type=int, help="steps of the coarse shape (default: the pack's)")
    add("--prior-guidance", type=float, help="guidance of the coarse shape (default: the pack's)")
    add("--prior-sampler", metavar="NAME", help="sampler of the coarse shape, as --sampler")
    add("--prior-guidance-interval", metavar="LOW:HIGH", help="guidance interval of the coarse shape, as --guidance-interval")


def _add_refine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("mesh", metavar="FILE", help="the mesh (GLB, glTF or OBJ, +Y up and front +Z)")
    add("prompt", help='how it should look, such as "a blue chair"')
    _add_making(parser)


def _add_texture(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("mesh", nargs="?", metavar="FILE", help="the mesh (GLB, glTF or OBJ, +Y up and front +Z); none with --from")
    add("prompt", nargs="?", default="", help='how it should look, such as "rusty iron"')
    _add_from(parser)
    add("--image", metavar="FILE", help="a picture of how it should look, seen as in the pack's first view: 30 degrees to the right of its"
                                        " front and 20 above in most packs")
    add("--matte", default="auto", metavar="MATTE", help="as for generate (default auto)")
    _add_output(parser)
    _add_drawing(parser)
    parser.set_defaults(route="texture", engine=None)


def _add_finish(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("mesh", metavar="FILE", help="the mesh (GLB, glTF or OBJ, +Y up and front +Z)")
    add("-o", "--output", metavar="FILE", required=True, help="output file; its extension sets the format: glb, obj, ply, stl")
    add("--faces", type=int, help="maximum number of triangles (default: as in the file)")
    add("--texture", type=int, metavar="PIXELS", help="size of the texture, a power of two (default: as in the file, or 1024)")
    add_asset_options(parser)
    add("--preview", metavar="PNG", help="also write a picture of the mesh")
    add("--quiet", action="store_true", help="print errors only")
    add("--json", action="store_true", help="print one JSON object")


def _add_lint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="GLB, glTF or OBJ")
    parser.add_argument("--for", dest="engine", choices=ENGINES, metavar="ENGINE",
                        help=f"check against the limits of: {', '.join(ENGINES)} (default: the one that the file was made for)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_making(parser: argparse.ArgumentParser) -> None:
    """What everything that makes one new mesh can be told."""
    _add_output(parser)
    parser.add_argument("--save-run", metavar="DIR", help="keep all up to the shape in this folder, for --from")
    _add_settings(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Where one mesh goes, and of which seed."""
    add = parser.add_argument
    add("-o", "--output", metavar="FILE", required=True, help="output file; its extension sets the format: glb, obj, ply, stl")
    add("--seed", type=int, default=0, help="same seed, same mesh (default 0)")
    add("--seeds", metavar="SEEDS", help="several variants, such as 0-3 or 1,5,8; each file name ends in its seed")
    add("--preview", metavar="PNG", help="also write a picture of the mesh")
    add("--keep-stages", metavar="DIR", help="also write mattes, crops, the coarse mesh and all views into this folder")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """And what many meshes can be told as well."""
    add = parser.add_argument
    add("--faces", type=int, help="maximum number of triangles (default: the pack's)")
    add("--geometry-seed", type=int, metavar="N", help="seed of the shape (default: that of --seed)")
    add("--texture-seed", type=int, metavar="N", help="seed of the look (default: that of --seed); another one than the shape's draws the"
                                                      " views anew")
    add("--no-texture", dest="textured", action="store_false", default=None, help="the shape alone, with vertex colours")
    add("--texture-from", metavar="SOURCE", help="views, field or blend (default: the pack's)")
    _add_drawing(parser)
    add_asset_options(parser)


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    """What everything that draws views can be told."""
    add = parser.add_argument
    add("--steps", type=int, help="steps of the views (default: the pack's)")
    add("--guidance", type=float, help="how strongly the views follow the prompt or the picture (default: the pack's)")
    add("--sampler", metavar="NAME", help="sampler of the views: ddim, euler-ancestral, dpm-solver++-2m, heun-karras or align-your-steps"
                                          " (default: the pack's)")
    add("--guidance-interval", metavar="LOW:HIGH", help="range of sigmas in which guidance is applied, such as 0.3:5 (default: the pack's)")
    add("--deep-cache", type=int, metavar="N", help="run all layers of the view network only every N steps, in packs exported for it"
                                                    " (default 1)")
    add("--quality", metavar="QUALITY", help="draft, standard or full: the pack's presets of steps, sampler and texture (default full)")
    add("--texture", type=int, metavar="PIXELS", help="size of the texture, a power of two (default: the pack's)")
    add("--pack", default="props", help="name or folder (default props)")
    add("--lora", metavar="FILE", help="a LoRA for the network that generates the views (.safetensors, diffusers' layout)")
    add("--lora-scale", type=float, metavar="S", help="scale of the LoRA (default 1)")
    add("--commercial", action="store_true", help="refuse a pack whose licence does not allow commercial use")
    _add_engine_options(parser)
    add("--quiet", action="store_true", help="print errors only")
    add("--json", action="store_true", help="print one JSON object that describes the result")


def _add_build(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("pack", nargs="?", metavar="PACK", help="name or folder")
    add("--backend", metavar="NAME", help="tensorrt or tensorrt-rtx (default: the one that is installed)")
    add("--component", action="append", default=[], metavar="NAME", help="only this component; repeatable (default: all)")
    add("--refit", action="store_true", help="make the UNets' engines refittable for LoRAs; slightly slower, needs a GPU")
    add("--into-pack", action="store_true", help="also copy the engines into the pack's folder, to ship them with it")
    add("--capabilities", metavar="LIST", help="compute capabilities that TensorRT-RTX builds for, such as 7.5,8.6 (default: 8.0 and later;"
                                               " on a machine with an older GPU, its own)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="list the cached engines")
    which.add_argument("--prune", action="store_true", help="delete engines that are damaged, of other versions, or whose model is gone")
    add("--quiet", action="store_true", help="print errors only")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default 127.0.0.1: this machine only)")
    add("--port", type=int, default=8188, help="port to listen on (default 8188; 0 picks a free one)")
    add("--open", action="store_true", help="open the page in a browser")
    add("--data", metavar="DIR", help="folder of the queue and the results (default: the user's own)")
    add("--token-file", metavar="FILE", help="require the token in this file; needed for any address other than this machine's")
    add("--allow-host", action="append", default=[], metavar="NAME[:PORT]",
        help="another host name of the server, such as a proxy's")
    add("--pack", action="append", default=[], metavar="PACK",
        help="name or folder; repeatable, the first is the default (default props)")
    add("--backend", default="auto", metavar="NAME", help="as for generate (default auto)")
    add("--threads", type=int, help="threads of the networks (default: the backend's choice)")
    add("--memory", default="normal", metavar="MODE", help="as for generate (default normal)")
    add("--gpu-share", default="full", metavar="MODE", help="as for generate (default full)")
    add("--vram", metavar="SIZE", help="as for generate, for each pack")
    add("--max-queue", type=int, default=100, metavar="N", help="maximum number of waiting tasks (default 100)")
    add("--max-body", type=int, default=64, metavar="MB", help="largest request (default 64)")
    add("--deadline", type=float, default=7200, metavar="SECONDS", help="time limit of a task (default 7200)")
    add("--keep-days", type=float, default=7, metavar="DAYS", help="results are deleted after this time (default 7)")
    add("--keep-size", type=float, default=10, metavar="GB", help="the oldest results are deleted above this size (default 10)")


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", default="auto", metavar="NAME",
                        help="auto, onnxruntime, tensorrt, tensorrt-rtx or null (default auto: the best that works)")
    parser.add_argument("--build", action="store_true", help="first build the TensorRT engines that are missing for this machine")
    parser.add_argument("--threads", type=int, help="threads of the networks (default: the backend's choice)")
    parser.add_argument("--gpu-share", default="full", metavar="MODE",
                        help="background leaves a GPU to a game that renders on it: low priority, blocks of 8 ms (default full)")
    parser.add_argument("--vram", metavar="SIZE", help="limit of GPU memory, such as 6G (default: none)")
    parser.add_argument("--memory", default="normal", metavar="MODE",
                        help="low holds one large model file at a time, lowest also memory-maps its weights, normal"
                             " keeps all files open (default normal)")
    parser.add_argument("--providers", metavar="NAME[,NAME]",
                        help="run everything on these ONNX Runtime providers, in order of preference (default: the best that start)")

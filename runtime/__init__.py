"""Meshwright's run time: from a prompt or a picture, and a pack, to a textured mesh.

    from meshwright.runtime import Pipeline
    Pipeline.open("props").generate("a red chair", seed=7).save("chair.glb")

Names are looked up when they are first used, so that importing this package costs next to nothing and the
command line can answer Ctrl-C before numpy has loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engines.errors import (
        Cancelled,
        EmptyShape,
        InputError,
        MeshwrightError,
        OutputError,
        PackCorrupt,
        PackError,
        PackFormat,
        PackNotFound,
        PackUntrusted,
    )
    from .assets.asset import Asset
    from .assets.finish import finish
    from .assets.lint import Verdict, lint
    from .assets.options import AssetOptions
    from .backends.models import verify_pack
    from .events import CoarseMesh, CoarseViews, EngineBuild, Event, Notice, Result, StageDone, StageStarted, Step, Surface, Views
    from .files.reader import MeshFile, read_mesh
    from .geometry.mesh import Mesh
    from .images.pictures import Picture, read_picture
    from .pack.golden import Check
    from .pack.pack import Pack
    from .pipeline import Pipeline
    from .request import Request
    from .results import Cutout, Generation, Stages
    from .saved_run import SavedRun, read_run

__all__ = [
    "Asset", "AssetOptions", "Cancelled", "Check", "CoarseMesh", "CoarseViews", "Cutout", "EmptyShape", "EngineBuild", "Event",
    "Generation", "InputError", "Mesh", "MeshFile", "MeshwrightError", "Notice", "OutputError", "Pack", "PackCorrupt", "PackError",
    "PackFormat", "PackNotFound", "PackUntrusted", "Picture", "Pipeline", "Request", "Result", "SavedRun", "StageDone", "StageStarted",
    "Stages", "Step", "Surface", "Verdict", "Views", "finish", "lint", "read_mesh", "read_picture", "read_run", "verify_pack",
]
_MODULES = (".pipeline", ".request", ".images.pictures", ".results", ".pack.pack", ".events", ".geometry.mesh", ".files.reader",
            ".backends.models", ".pack.golden", ".saved_run", ".assets.finish", ".assets.lint", "..engines.errors")


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in (import_module(module, __name__) for module in _MODULES):
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Meshwright's run time: from a prompt and a pack to a textured mesh.

    from meshwright.runtime import Pipeline
    Pipeline.open("props").generate("a red chair", seed=7).save("chair.glb")

Names are looked up when they are first used, so that importing this package costs next to nothing and the
command line can answer Ctrl-C before numpy has loaded.
"""

from importlib import import_module

_HOMES = {
    "Pipeline": ".pipeline", "Request": ".request", "Generation": ".generation", "Stages": ".generation",
    "Pack": ".pack", "Mesh": ".meshes.mesh", "verify_pack": ".verify", "Check": ".verify",
    **dict.fromkeys(("StageStarted", "Step", "StageDone", "Notice", "CoarseMesh", "CoarseViews", "Views", "Surface",
                     "Result", "Event"), ".events"),
    **dict.fromkeys(("MeshwrightError", "InputError", "OutputError", "PackError", "PackNotFound", "PackCorrupt",
                     "PackFormat", "Cancelled", "EmptyShape"), "..engines.errors"),
}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

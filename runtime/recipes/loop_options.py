"""How many steps the loop of the views takes, and how strongly it is guided: the request's choice, else the pack's."""

from __future__ import annotations

from ..pack.manifest import Diffusion
from ..request import Request

# Fewer steps leave the views that are drawn too little time to follow known ones: in a single step they see noise alone.
STEPS_AROUND_KEPT = 8


def steps_of(request: Request, loop: Diffusion) -> int:
    """From 1."""
    if request.steps is not None:
        return request.steps
    steps = loop.edit.steps if loop.edit is not None and is_edit(request) else loop.steps
    return max(steps, STEPS_AROUND_KEPT) if request.views else steps


def guidance_of(request: Request, loop: Diffusion) -> float:
    """The guidance scale; 1 is no guidance."""
    if request.guidance is not None:
        return request.guidance
    return loop.edit.guidance if loop.edit is not None and is_edit(request) else loop.guidance


def is_edit(request: Request) -> bool:
    """Whether a prompt is to change the look of something that is given."""
    return bool(request.prompt) and (request.mesh is not None or request.image is not None)

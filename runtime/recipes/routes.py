"""Which way a pack takes from a request to a mesh, and whether it can.

    text    prompt -> coarse shape -> six views, redrawn -> mesh
    coarse  picture, and a prompt if there is one -> coarse shape -> six views, redrawn -> mesh
    views   picture -> six views -> mesh
    voxels  picture -> six views -> occupied voxels -> distance and colour in them -> mesh
    planes  prompt -> four views, denoised as renderings of one triplane -> mesh; planes-picture, with a picture as the first view
    refine  mesh and prompt -> its six views, redrawn -> mesh
    texture mesh, and a prompt or a picture -> its six views, redrawn -> the same mesh, painted
    run     saved run, and a prompt if the look is to change -> mesh
"""

from __future__ import annotations

from ...engines.errors import InputError
from ..pack.manifest import Diffusion, Manifest, required, shallow_kind
from ..request import Request
from ..text.prompt import shorten
from .continued import check_run, continued, draws
from .look import redraws
from .pictures import check_known_views
from .settings import coarse_settings, drawing_settings

# Those on which the views are drawn of a picture.
PICTURE_VIEWS = ("views", "voxels")
# Those of DMV3D, of a prompt and of a picture.
PLANES = ("planes", "planes-picture")
# The routes of each recipe, and what it makes a mesh from.
ROUTES_OF = {"sharp-it": ("text", "coarse", "refine", "texture"), "instantmesh": ("views",), "one-2-3-45": ("voxels",),
             "dmv3d": PLANES}
STARTS = {"sharp-it": "a prompt, a picture or a mesh", "instantmesh": "a picture", "one-2-3-45": "a picture",
          "dmv3d": "a prompt or a picture"}
COARSE_OPTIONS = ("prior_steps", "prior_guidance", "prior_sampler", "prior_guidance_interval")


def choose_route(request: Request, pack: Manifest) -> str:
    """"text", "coarse", "views", "voxels", one of `PLANES`, "refine", "texture" or "run". InputError if the pack has no use for something
    that the request holds, or cannot do without what it lacks."""
    _check_recipe(request, pack)
    route = _route(request, pack)
    if request.recipe is not None and route not in ROUTES_OF[request.recipe]:
        raise InputError(f"the recipe {request.recipe} does not start from this", received=_given(request),
                         expected=STARTS[request.recipe], remedy="leave --recipe out")
    if route in ("voxels", *PLANES) and redraws(request):
        raise InputError(f"the route {route} draws shape and look together", received="seeds that differ", expected="one seed",
                         remedy="leave texture_seed and geometry_seed out")
    if (redraws(request) or route == "run" and draws(request)) and pack.refiner is None:
        raise InputError(f"pack {pack.name} has no refiner, which draws the views of a finished shape", received="a look of its own",
                         expected="that of the shape", remedy="leave texture_seed and geometry_seed out")
    if route == "run":
        check_run(request, pack)
        if draws(request):
            drawing_settings(continued(request), pack, required(pack.refiner)).table("views")
        return route
    if request.control is not None and not (route in PICTURE_VIEWS and _has_control(pack)):
        raise InputError(f"pack {pack.name} has no ControlNet", received="a control picture", expected="none",
                         remedy="omit the prompt and the route" if _has_control(pack) else None)
    if route in (*PICTURE_VIEWS, *PLANES, "refine", "texture"):
        asked = [name for name in COARSE_OPTIONS if getattr(request, name) is not None]
        if asked:
            whose = f"pack {pack.name}" if pack.prior is None else f"the route {route} of pack {pack.name}"
            raise InputError(f"{whose} does not generate a coarse shape", received=" and ".join(asked), expected="neither")
    else:
        coarse_settings(request, pack).table("coarse shape")
    drawing_settings(request, pack, view_loop(route, pack)).table("views")
    check_known_views(request, pack, route)
    if request.deep_cache not in (None, 1):
        _check_deep_cache(request, pack, route)
    return route


def _check_deep_cache(request: Request, pack: Manifest, route: str) -> None:
    drawing = drawing_component(route)
    if pack.find(shallow_kind(drawing)) is None:
        raise InputError(f"pack {pack.name} has no deep features of {drawing}", received=f"deep_cache {request.deep_cache}", expected="1",
                         remedy="export it with --deep-cache, or leave the option out")
    if request.keeps_views:
        raise InputError("deep_cache cannot be combined with known views, which are restored before each step", received="both",
                         expected="one of them")


def default_route(pack: Manifest) -> str:
    """The way of a prompt alone in a pack that reads such prompts, else that of a picture alone."""
    if pack.recipe == "dmv3d":
        return PLANES[0]
    return "text" if follows_prompts(pack) else picture_routes(pack)[0]


def follows_prompts(pack: Manifest) -> bool:
    """Whether a prompt alone is enough."""
    steered_by_pictures_alone = pack.find("prior_image_encoder") and not required(pack.prior).unconditional_image
    return pack.prior is not None and not steered_by_pictures_alone


def picture_routes(pack: Manifest) -> tuple[str, ...]:
    """The ways from a picture, the one to be preferred first."""
    ways = (("views", ("views_step", "reconstructor")), ("voxels", ("views_step", "sparse_step")), ("coarse", ("prior_image_encoder",)))
    return tuple(route for route, kinds in ways if all(map(pack.find, kinds)))



def drawing_component(route: str) -> str:
    """The step model of the loop that draws the views."""
    if route in PLANES:
        return "dmv3d_step"
    return "views_step" if route in PICTURE_VIEWS else "refiner_step"


def view_loop(route: str, pack: Manifest) -> Diffusion:
    """The loop that draws the views."""
    if route in PLANES:
        return required(pack.posed_views)
    return required(pack.multiview if route in PICTURE_VIEWS else pack.refiner)


def _route(request: Request, pack: Manifest) -> str:
    if request.run is not None:
        return "run"
    if (request.recipe or pack.recipe) == "dmv3d" and request.mesh is None and request.route is None:
        return _planes_route(request, pack)
    if request.mesh is not None:
        if pack.refiner is None:
            raise InputError(f"pack {pack.name} does not refine meshes", received="a mesh", expected=_wants(pack))
        if request.image is not None:
            _check_takes_a_look(pack)
        return "texture" if request.route == "texture" else "refine"
    if request.image is None:
        if not follows_prompts(pack):
            raise InputError(f"pack {pack.name} makes meshes from pictures", received="a prompt alone", expected="a picture",
                             remedy="give one with --image")
        return "text"
    return _picture_route(request, pack)


def _planes_route(request: Request, pack: Manifest) -> str:
    if request.image is not None and pack.picture is None:
        raise InputError(f"pack {pack.name} makes meshes from prompts", received="a picture", expected="a prompt alone")
    if request.views:
        raise InputError("the recipe dmv3d takes one picture, as its first view", received=f"{len(request.views) + 1} pictures",
                         expected="one picture")
    return PLANES[request.image is not None]


def _check_takes_a_look(pack: Manifest) -> None:
    """InputError unless a picture can be one of the views of a mesh."""
    if pack.picture is None or required(pack.refiner).coarse_latents != "target":
        raise InputError(f"pack {pack.name} takes no picture of a mesh's look", received="a picture", expected="a prompt alone")


def _picture_route(request: Request, pack: Manifest) -> str:
    routes = picture_routes(pack)
    if not routes:
        raise InputError(f"pack {pack.name} makes meshes from prompts", received="a picture", expected="a prompt alone")
    if request.prompt and "coarse" not in routes:
        raise InputError(f"pack {pack.name} takes no prompts", received=shorten(request.prompt), expected="a picture alone")
    if request.prompt and request.route in PICTURE_VIEWS:
        raise InputError(f"the route {request.route} takes no prompt: it generates what the picture shows",
                         received=shorten(request.prompt), expected="a picture alone", remedy="leave --route out, or the prompt")
    if request.route is not None and request.route not in routes:
        raise InputError(f"pack {pack.name} has no such route", received=request.route, expected=" or ".join(routes))
    fitting = [route for route in routes if request.recipe is None or route in ROUTES_OF[request.recipe]]
    return request.route or ("coarse" if request.prompt else (fitting or routes)[0])


def _check_recipe(request: Request, pack: Manifest) -> None:
    if request.recipe is not None and request.recipe not in pack.recipes:
        raise InputError(f"pack {pack.name} has no such recipe", received=request.recipe, expected=", ".join(pack.recipes))


def _given(request: Request) -> str:
    given = [name for name, value in (("a mesh", request.mesh), ("a picture", request.image), ("a prompt", request.prompt or None))
             if value is not None]
    return " and ".join(given) + (f", route {request.route}" if request.route else "")


def _wants(pack: Manifest) -> str:
    return "a prompt" if follows_prompts(pack) else "a picture"


def _has_control(pack: Manifest) -> bool:
    step = pack.find("views_step")
    return step is not None and step.takes("control")

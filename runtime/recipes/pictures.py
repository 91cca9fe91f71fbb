"""The pictures of a request: the object is cut out of each, and those beside the first are views that are known.

Known views stay as they are while a loop draws the others around them: their latents take the place of the loop's before every step,
with as much noise as that step expects, so that the network sees them beside the views that it draws (as RePaint does, arXiv
2201.09865, without its repetitions).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engines.engine import on_host
from ...engines.errors import InputError
from ..backends.models import Models
from ..events import Notice
from ..geometry.render import grid
from ..images import Foreground, crop_object
from ..images.foreground import SOLID, bounds
from ..images.pictures import Picture, preprocess
from ..pack.manifest import Manifest, Resize, Views, required
from ..request import Request
from ..results import Cutout
from .stages import KnownViews, Stage, encode_image

TOLERANCE = 10.0  # degrees between a picture's azimuth and that of the view it stands for
BARE = 0.02  # a pixel this close to the background shows nothing


def cut_out(models: Models, request: Request) -> Stage[list[Picture]]:
    """The object of each picture as a square with alpha, the first picture first.

    Errors: InputError for a picture without an object; where there are several, it says which.
    """
    for message in known_view_notices(request, models.pack.manifest.views):
        yield Notice(message)
    assert request.image is not None  # or there would be another route
    pictures = [(0.0, request.image), *request.views]
    crops = []
    for azimuth, picture in pictures:
        for notice in picture.notices:
            yield Notice(notice)
        found = _found(models, request, azimuth, picture)
        crop = crop_object(found, required(models.pack.manifest.picture).ratio)
        yield Cutout(azimuth, found.matte, crop.pixels, found.source, found.seconds)
        crops.append(crop)
    return crops


def _found(models: Models, request: Request, azimuth: float, picture: Picture) -> Foreground:
    try:
        return models.matting.foreground(picture, request.matte_picture or request.matte)
    except InputError as error:
        if not request.views:
            raise
        which = f"at {azimuth:g} degrees" if azimuth else "first picture"
        raise InputError(f"{which}: {error.subject}", received=error.received, expected=error.expected,
                         remedy="give a picture with alpha") from error


def known_view_images(models: Models, request: Request, crops: list[Picture], guide: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """The known views (size, size, 3) float32 in [0, 1] by their number. crops : of `request.views`, or of the picture of a mesh.

    guide : (n, size, size, 3), views of the coarse shape, where there are any: they say how large the object is in each, but
        for pictures that are taken as they are
    """
    if request.matte == "none":
        guide = None
    views = models.pack.manifest.views
    numbers = known_views(request, views)
    return {number: fit_to_view(crop, views, None if guide is None else guide[number])
            for number, crop in zip(numbers, crops, strict=True)}


def encode_known_views(models: Models, known: Mapping[int, np.ndarray], seed: int) -> KnownViews | None:
    """The known views (size, size, 3) as latents for the loop that draws the others; None if there are none."""
    if not known:
        return None
    views = models.pack.manifest.views
    image = np.ascontiguousarray(known_grid(known, views).transpose(2, 0, 1)[None], np.float32)
    latent = encode_image(models, "vae_encoder", image, seed=seed, stream="kept-views")["latent"]
    return KnownViews(on_host(latent), known_mask(known, views, latent.shape))


def check_known_views(request: Request, pack: Manifest, route: str) -> None:
    """InputError unless the pack can keep each of the request's views."""
    if not request.views:
        return
    if pack.find("vae_encoder") is None:
        raise InputError(f"pack {pack.name} takes only one picture: it has no encoder for known views",
                         received=f"{len(request.views) + 1} pictures", expected="one picture")
    if route == "coarse" and required(pack.refiner).coarse_latents != "target":
        raise InputError(f"pack {pack.name} takes only one picture: it does not encode views as the latents that it generates",
                         received=f"{len(request.views) + 1} pictures", expected="one picture")
    known_views(request, pack.views)


def known_views(request: Request, views: Views) -> dict[int, Picture]:
    """The pictures by the number of the view that each stands for; that of a mesh stands for the first. InputError for an azimuth that no
    view has."""
    if request.mesh is not None and request.image is not None:
        return {0: request.image}
    known: dict[int, Picture] = {}
    for azimuth, picture in request.views:
        away = [abs((azimuth - each + 180) % 360 - 180) for each in views.azimuths]
        index = int(np.argmin(away))
        if away[index] > TOLERANCE:
            raise InputError(f"the pack has no view at {azimuth:g} degrees from the first picture", received=f"a picture at {azimuth:g}",
                             expected=f"{', '.join(f'{each:g}' for each in sorted(views.azimuths))}, or at most {TOLERANCE:g} degrees off")
        if index in known:
            raise InputError("two pictures are for the same view", received=f"azimuths near {views.azimuths[index]:g}, twice",
                             expected="one picture for each azimuth")
        known[index] = picture
    return known


def known_view_notices(request: Request, views: Views) -> list[str]:
    """For each picture that is kept, where the view that it stands for is seen from: the user may have stood elsewhere."""
    names = [f"the picture at {azimuth:g} degrees" for azimuth, _ in request.views] or ["the picture"]
    return [f"{name} is used as the view at {views.azimuths[number]:g} degrees, "
            f"{abs(views.elevations[number]):g} {'above' if views.elevations[number] >= 0 else 'below'} the horizon"
            for name, number in zip(names, known_views(request, views), strict=False)]


def fit_to_view(crop: Picture, views: Views, guide: np.ndarray | None = None) -> np.ndarray:
    """(size, size, 3) float32 in [0, 1]: an object, cut out and in the middle of a square with alpha, as a view shows it.

    guide : (size, size, 3), the coarse shape in that view; the object is laid over it, and else fills the view as it fills `crop`
    """
    box = None if guide is None else _box(np.abs(guide - views.background).max(axis=-1) > BARE)
    solid = _box(crop.pixels[..., 3] >= SOLID) if box is not None else None
    if box is None or solid is None:
        return preprocess(crop, views.background, Resize(views.size, "bicubic"))[0].transpose(1, 2, 0)
    scale = max(box[1] - box[0], box[3] - box[2]) / max(solid[1] - solid[0], solid[3] - solid[2])
    corner = [round((box[k] + box[k + 1]) / 2 - scale * (solid[k] + solid[k + 1]) / 2) for k in (0, 2)]
    return _laid(crop, scale, corner, views)


def with_known(views: np.ndarray, known: Mapping[int, np.ndarray]) -> np.ndarray:
    """The views (n, size, size, 3) that were drawn, the known ones exactly as they are known."""
    if not known:
        return views
    whole = views.copy()
    for number, image in known.items():
        whole[number] = image
    return whole


def known_grid(known: Mapping[int, np.ndarray], views: Views) -> np.ndarray:
    """(rows * size, columns * size, 3) float32: the known views in their places, and nothing between."""
    nothing = np.full((views.rows * views.columns, views.size, views.size, 3), views.background, np.float32)
    return grid(with_known(nothing, known), views.rows, views.columns)


def known_mask(known: Mapping[int, np.ndarray], views: Views, latent: tuple[int, ...]) -> np.ndarray:
    """(1, 1, h, w) bool over latents of shape (1, c, h, w): where the known views lie."""
    flags = np.array([index in known for index in range(views.rows * views.columns)]).reshape(views.rows, views.columns)
    high, wide = latent[2] // views.rows, latent[3] // views.columns
    return np.repeat(np.repeat(flags, high, axis=0), wide, axis=1)[None, None]


def _box(solid: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, bottom, left, right of what is True in (h, w); None if nothing is."""
    return bounds(solid) if solid.any() else None


def _laid(crop: Picture, scale: float, corner: list[int], views: Views) -> np.ndarray:
    """(size, size, 3) float32: the crop, scaled, with its top left at `corner` (row, column), on the views' background."""
    from PIL import Image

    size = max(1, round(crop.width * scale)), max(1, round(crop.height * scale))
    image = Image.fromarray(crop.pixels).resize(size, Image.Resampling.BICUBIC)
    view = Image.new("RGB", (views.size, views.size), (round(255 * views.background),) * 3)
    view.paste(image.convert("RGB"), (corner[1], corner[0]), image.getchannel("A"))
    return np.asarray(view, np.float32) / np.float32(255)

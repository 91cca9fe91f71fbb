"""The first stage of the recipes that start from pictures: the object in each of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engines.engine import on_host
from ...engines.errors import InputError
from ..backends.models import Models
from ..events import Notice
from ..images import Foreground, cropped
from ..images.pictures import Picture
from ..pack.manifest import needed
from ..request import Request
from ..results import Cutout
from .known_views import KnownViews, as_view, grid_of_known, known_as, known_views, tile_mask
from .stages import Stage, encode_image


def cut_out(models: Models, request: Request) -> Stage[list[Picture]]:
    """The object of each picture as a square with alpha, the first picture first.

    Errors: InputError for a picture without an object; where there are several, it says which.
    """
    for message in known_as(request, models.pack.manifest.views):
        yield Notice(message)
    assert request.image is not None  # or there would be another route
    pictures = [(0.0, request.image), *request.views]
    crops = []
    for azimuth, picture in pictures:
        for notice in picture.notices:
            yield Notice(notice)
        found = _found(models, request, azimuth, picture)
        crop = cropped(found, needed(models.pack.manifest.picture).ratio)
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


def views_of(models: Models, request: Request, crops: list[Picture], guide: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """The known views (size, size, 3) float32 in [0, 1] by their number. crops : of `request.views`.

    guide : (n, size, size, 3), views of the coarse shape, where there are any: they say how large the object is in each, but
        for pictures that are taken as they are
    """
    if request.matte == "none":
        guide = None
    views = models.pack.manifest.views
    numbers = known_views(request, views)
    return {number: as_view(crop, views, None if guide is None else guide[number])
            for number, crop in zip(numbers, crops, strict=True)}


def kept(models: Models, known: Mapping[int, np.ndarray], seed: int) -> KnownViews | None:
    """The known views (size, size, 3) as latents for the loop that draws the others; None if there are none."""
    if not known:
        return None
    views = models.pack.manifest.views
    image = np.ascontiguousarray(grid_of_known(known, views).transpose(2, 0, 1)[None], np.float32)
    latent = encode_image(models, "vae_encoder", image, seed=seed, stream="kept-views")["latent"]
    return KnownViews(on_host(latent), tile_mask(known, views, latent.shape))

"""From the colours of an ICC profile to sRGB, by LittleCMS, relative colorimetric with black point compensation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

# A profile that moves no colour by more than this many of 255 levels is sRGB by another name: some twenty are in use,
# with rounded primaries, sampled curves or a lifted black.
ROUNDING = 2
LATTICE = 17  # levels an axis of the colours that are tried
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of a profile -> Pillow's mode


def to_srgb(image: Image, profile: bytes) -> tuple[Image, str | None]:
    """The picture with its colours in sRGB, and what should be known of that; 8 bits a channel, alpha kept.

    image : L, LA, RGB, RGBA or CMYK; one whose profile means sRGB comes back as it is
    -> (image, notice): where a profile is broken, or fits no picture of this kind, the same picture and a notice
    """
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = SPACES.get(source.profile.xcolor_space)
        if space is None or space != image.mode.removesuffix("A") and (space, image.mode.removesuffix("A")) != ("RGB", "L"):
            return image, (f"the picture's colour profile is for {source.profile.xcolor_space.strip()}, the picture is "
                           f"{image.mode}: it is read as it is")
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, space, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC,
                                            ImageCms.Flags.BLACKPOINTCOMPENSATION)
    except ImportError:
        return image, "the picture's colour profile is ignored: this Pillow has no LittleCMS"
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return image, "the picture's colour profile is broken and is ignored"
    if space != "CMYK" and _is_identity(transform, space):
        return image, None
    return _applied(transform, image, space), None


def _applied(transform: ImageCmsTransform, image: Image, space: str) -> Image:
    """RGB, or RGBA with the picture's own alpha."""
    alpha = image.getchannel("A") if image.mode.endswith("A") else None
    converted = transform.apply(image if image.mode == space else image.convert(space))
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _is_identity(transform: ImageCmsTransform, space: str) -> bool:
    """Whether the colours of a lattice, and all greys, come out as they went in, but for rounding."""
    from PIL import Image

    greys = np.arange(256, dtype=np.uint8)
    if space == "L":
        given = greys[None]
    else:
        levels = np.linspace(0, 255, LATTICE).round().astype(np.uint8)
        lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
        given = np.concatenate([lattice, np.repeat(greys[:, None], 3, axis=1)])[None]
    found = np.asarray(transform.apply(Image.fromarray(given))).astype(np.int16)
    return int(np.abs(found - (given[..., None] if space == "L" else given)).max()) <= ROUNDING

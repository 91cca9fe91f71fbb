"""Pictures of materials, of every format that Pillow reads: what artists keep is often TGA or TIFF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ....engines.errors import InputError
from ...images.pictures import picture_of

if TYPE_CHECKING:
    from PIL.Image import Image

# Of the formats that `picture_of` does not read: 8192 by 8192.
MAX_PIXELS = 1 << 26
# Those that `picture_of` reads, or refuses for a reason; and one that Pillow hands to another program.
_NOT_HERE = frozenset({"PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "EPS"})


def map_pixels(data: bytes, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(h, w, 3) uint8 of a picture file, row 0 at the top, and what should be known of how it was read. Alpha is left out.

    name : for messages
    Errors: InputError for what is no picture, is broken, or has too many pixels.
    """
    try:
        picture = picture_of(data, name)
    except InputError:
        pixels = _other_format(data, name)
        if pixels is None:
            raise
        return pixels, ()
    return np.ascontiguousarray(picture.pixels[..., :3]), picture.notices


def _other_format(data: bytes, name: str) -> np.ndarray | None:
    """None if Pillow does not know the format. `Image.open` is not used: it judges sizes by a setting of the whole process."""
    from PIL import Image

    Image.init()
    for kind in sorted(set(Image.ID) - _NOT_HERE):
        opener, accepts = Image.OPEN[kind]
        try:
            if accepts is not None and accepts(data[:16]) is not True:
                continue
            with opener(io.BytesIO(data), "") as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"the picture {name} is too large", received=f"{image.width} by {image.height} pixels",
                                     expected=f"at most {MAX_PIXELS:,} pixels")
                image.load()
                return _eight_bits(image)
        except InputError:
            raise
        except Exception:  # what Pillow raises for what is another format, or broken, is not limited to one class
            continue
    return None


def _eight_bits(image: Image) -> np.ndarray:
    """(h, w, 3) uint8; of more bits the upper eight, and floats of 0 to 1."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):
        image = fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    elif image.mode == "F":
        image = fromarray(np.rint(255 * np.nan_to_num(np.asarray(image)).clip(0, 1)).astype(np.uint8))
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))[..., :3].copy()

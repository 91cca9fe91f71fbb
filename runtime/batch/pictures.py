"""Pictures of a batch: a turntable of one mesh, and one contact sheet of all."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..geometry.mesh import Mesh
from ..geometry.render import turntable
from ..geometry.shading import to_uint8

FRAMES, FRAME_SIZE, FRAME_MILLISECONDS = 24, 256, 80
LARGEST_TILE, SMALLEST_TILE, SHEET_WIDTH, CAPTION = 192, 32, 4096, 16
PIXELS_A_LETTER = 6


def gif_bytes(mesh: Mesh) -> bytes:
    """An endless GIF of the mesh as it turns around once in two seconds."""
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in to_uint8(turntable(mesh, FRAMES, FRAME_SIZE))]
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
    return out.getvalue()


def contact_sheet(previews: Sequence[Path]) -> np.ndarray:
    """(height, width, 3) uint8: the front views of `Generation.preview` pictures, each with its file's name, row by row."""
    from PIL import Image, ImageDraw, ImageFont

    columns = math.ceil(math.sqrt(len(previews)))
    tile = min(LARGEST_TILE, max(SMALLEST_TILE, SHEET_WIDTH // columns))
    sheet = Image.new("RGB", (columns * tile, math.ceil(len(previews) / columns) * (tile + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for number, path in enumerate(previews):
        left, top = number % columns * tile, number // columns * (tile + CAPTION)
        with Image.open(path) as picture:
            front = picture.convert("RGB").crop((0, 0, picture.width // 2, picture.height))
        sheet.paste(front.resize((tile, tile), Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 2, top + tile), path.stem[:tile // PIXELS_A_LETTER], "black", font)
    return np.asarray(sheet)

"""The contact sheets: the first held-out prompts, and the first photos, as they come, none left out and none tried twice."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from meshwright.runtime.geometry.shading import to_uint8
from meshwright.runtime.results import Generation

ROWS, SHEETS, TILE, TEXT_WIDTH = 20, 2, 96, 168
HEADINGS = ("prompt", "coarse", "refined views", "mesh")
PICTURE_HEADINGS = ("photo", "cut out", "views", "mesh")


def save_row(folder: Path, index: int, prompt: str, made: Generation) -> None:
    """Draw one row and keep it as a picture in `folder`."""
    from PIL import Image

    views = [made.stages.coarse_views[0], *made.stages.views]
    small = [Image.fromarray(to_uint8(view)).resize((TILE, TILE), Image.Resampling.LANCZOS) for view in views]
    tiles = [np.asarray(tile) for tile in small]
    strip = np.concatenate([_text(prompt), *tiles, _sides(made)], axis=1)
    Image.fromarray(strip).save(_row(folder, index))


def save_picture_row(folder: Path, index: int, photo: np.ndarray, made: Generation) -> None:
    """The same for a photo (h, w, 3) uint8."""
    from PIL import Image

    crop = Image.fromarray(made.stages.cutouts[0].crop)
    cut = Image.new("RGB", crop.size, "white")
    cut.paste(crop, mask=crop.getchannel("A") if crop.mode == "RGBA" else None)
    shown = [Image.fromarray(photo), cut, *(Image.fromarray(to_uint8(view)) for view in made.stages.views)]
    tiles = [np.asarray(picture.resize((TILE, TILE), Image.Resampling.LANCZOS)) for picture in shown]
    Image.fromarray(np.concatenate([*tiles, _sides(made)], axis=1)).save(_row(folder, index, "picture-row"))


def save_refused_row(folder: Path, index: int, photo: np.ndarray, why: str) -> None:
    """The same where nothing was made of the photo: why."""
    from PIL import Image

    tile = Image.fromarray(photo).resize((TILE, TILE), Image.Resampling.LANCZOS)
    words = _drawn("\n".join(textwrap.wrap(why, 100)[:5]), 9 * TILE, TILE, top=TILE // 4)
    Image.fromarray(np.concatenate([np.asarray(tile), words], axis=1)).save(_row(folder, index, "picture-row"))


def write_picture_sheet(folder: Path, path: Path, rows: int) -> bool:
    """As `write_sheet`, of photos."""
    return write_sheet(folder, path, rows, "picture-row", PICTURE_HEADINGS, TILE)


def write_sheets(folder: Path, path: Path, rows: int) -> list[Path]:
    """Sheets of ROWS prompts each: the first at `path`, the second beside it as NAME_2, as far as there are rows."""
    paths = [path, *(path.with_stem(f"{path.stem}_{number}") for number in range(2, SHEETS + 1))]
    return [each for i, each in enumerate(paths) if write_sheet(folder, each, rows - i * ROWS, start=i * ROWS)]


def write_sheet(folder: Path, path: Path, rows: int, name: str = "row", headings: tuple[str, ...] = HEADINGS,
                first_width: int = TEXT_WIDTH, start: int = 0) -> bool:
    """Put `rows` rows, at most ROWS, from number `start` on under each other; False, and nothing written, if one is missing."""
    from PIL import Image

    rows = min(rows, ROWS)
    files = [_row(folder, start + index, name) for index in range(rows)]
    if rows < 1 or not all(file.exists() for file in files):
        return False
    strips = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    picture = Image.fromarray(np.concatenate([_heading(strips[0].shape[1], headings, first_width), *strips]))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette keeps the picture of a sheet of plain objects on white well below a megabyte.
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return True


def _row(folder: Path, index: int, name: str = "row") -> Path:
    return folder / f"{name}-{index:04}.png"


def _sides(made: Generation) -> np.ndarray:
    """(TILE, 2 TILE, 3) uint8: the finished mesh from its front and its back."""
    from PIL import Image

    large = Image.fromarray(made.preview(2 * TILE))
    return np.asarray(large.resize((2 * TILE, TILE), Image.Resampling.LANCZOS))


def _text(prompt: str) -> np.ndarray:
    return _drawn("\n".join(textwrap.wrap(prompt, 26)[:5]), TEXT_WIDTH, TILE, top=TILE // 4)


def _heading(width: int, headings: tuple[str, ...], first_width: int) -> np.ndarray:
    starts = (6, first_width + 6, first_width + TILE + 6, first_width + 7 * TILE + 6)
    canvas = np.full((24, width, 3), 255, np.uint8)
    for start, end, text in zip(starts, (*starts[1:], width + 6), headings, strict=True):
        canvas[:, start - 6:end - 6] = _drawn(text, end - start, 24, top=4)
    return canvas


def _drawn(text: str, width: int, height: int, *, top: int) -> np.ndarray:
    """(height, width, 3) uint8: black text on white, from `top` down."""
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(canvas).multiline_text((6, top), text, "black", ImageFont.load_default(12))
    return np.asarray(canvas)

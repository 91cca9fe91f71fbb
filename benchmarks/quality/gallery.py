"""The picture at the top of the README: a few prompts, each with the first object that seed 0 gives.

    python -m benchmarks.quality.gallery
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from meshwright.runtime import Pipeline
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views

from ..harness.command import ROOT

PROMPTS = ("a red chair with white legs", "a blue car", "a house with a green roof", "a purple mushroom", "a wooden barrel",
           "a silver sword with a brown grip", "an orange mug", "a pine tree", "a yellow robot", "a teal boat with an orange sail")
SIZE, CAPTION, COLUMNS = 256, 24, 5


def tile(pipeline: Pipeline, prompt: str) -> Image.Image:
    """One object from its front and the prompt below it."""
    mesh = pipeline.generate(prompt).mesh
    view = render_views(mesh, orbit((35.0,), (20.0,)), SIZE, supersample=3)[0]
    picture = Image.new("RGB", (SIZE, SIZE + CAPTION), "white")
    picture.paste(Image.fromarray(np.rint(view * 255).astype(np.uint8)))
    font = ImageFont.load_default(13)
    ImageDraw.Draw(picture).text((SIZE / 2, SIZE + 2), prompt, fill="black", font=font, anchor="ma")
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "props.png")
    args = parser.parse_args()
    with Pipeline.open(args.pack) as pipeline:
        tiles = [tile(pipeline, prompt) for prompt in PROMPTS]
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIZE, rows * (SIZE + CAPTION)), "white")
    for i, picture in enumerate(tiles):
        sheet.paste(picture, (i % COLUMNS * SIZE, i // COLUMNS * (SIZE + CAPTION)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.out, optimize=True)
    print(args.out)


if __name__ == "__main__":
    main()

"""Beyond the pack's world: pictures of real things that packages ship, each with the mesh that seed 0 gives. None is left out.

    pip install scikit-image scikit-learn
    python -m benchmarks.quality.outside --pack props

Every photograph of a thing, an animal or a person in scikit-image's `data` and scikit-learn's `datasets/images` folders is there;
textures, documents, charts and pictures through microscopes and telescopes are not. Writes docs/outside.png and prints what could
not be made.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from meshwright.engines.errors import MeshwrightError
from meshwright.runtime import Pipeline
from meshwright.runtime.images.pictures import read_picture

from ..harness.command import ROOT
from . import sheet

FILES = {"skimage": ("data/coffee.png", "data/rocket.jpg", "data/chelsea.png", "data/astronaut.png", "data/camera.png",
                     "data/horse.png", "data/motorcycle_left.png", "data/coins.png"),
         "sklearn": ("datasets/images/flower.jpg", "datasets/images/china.jpg")}
SHOWN = 256


def files() -> list[Path]:
    """Where the pictures are; SystemExit names the package that is missing."""
    found = []
    for package, names in FILES.items():
        spec = find_spec(package)
        if spec is None:
            raise SystemExit(f"the package {package} is missing: pip install scikit-image scikit-learn")
        found += [Path(spec.submodule_search_locations[0]) / name for name in names]
    return found


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(SHOWN, SHOWN, 3) uint8: a picture in the middle of a white square."""
    from PIL import Image

    picture = Image.fromarray(pixels).convert("RGB")
    picture.thumbnail((SHOWN, SHOWN))
    square = Image.new("RGB", (SHOWN, SHOWN), "white")
    square.paste(picture, ((SHOWN - picture.width) // 2, (SHOWN - picture.height) // 2))
    return np.asarray(square)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "outside.png")
    args = parser.parse_args()
    with Pipeline.open(args.pack) as pipeline, tempfile.TemporaryDirectory() as folder:
        made = 0
        for path in files():
            picture = read_picture(path)
            try:
                generation = pipeline.generate(image=picture, route="views", seed=0)
            except MeshwrightError as error:
                print(f"{path.name}: {error}")
                continue
            sheet.save_picture_row(Path(folder), made, thumbnail(picture.pixels), generation)
            made += 1
        sheet.write_picture_sheet(Path(folder), args.out, made)


if __name__ == "__main__":
    main()

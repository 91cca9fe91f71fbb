"""Whether `refine` gives an object the colour that is asked for: meshes in one colour, redrawn by prompts that name another.

    python -m benchmarks.quality.edits [--seed 5]

For each object the coarse mesh of one prompt is redrawn as another prompt says, with the steps and guidance that the pack has for edits and
with those that it has for prompts of its own. The mean colour of the object in the six redrawn views, brought to full
brightness, is compared with both colours, brought there too: which one is nearer, in RGB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from meshwright.export.props.world.palette import NAMES, RGB
from meshwright.runtime import CoarseMesh, Mesh, MeshFile, Pipeline, Request, Views

# Family, its colour, and the one that is asked for.
EDITS = (("chair", "red", "blue"), ("lamp", "green", "red"), ("table", "blue", "yellow"), ("tree", "green", "purple"),
         ("sword", "red", "green"), ("house", "blue", "red"), ("barrel", "yellow", "blue"), ("table", "red", "green"),
         ("chair", "white", "red"), ("lamp", "blue", "yellow"))
BARE = 0.97  # a pixel with a channel darker than that shows the object


def tone(views: np.ndarray) -> np.ndarray:
    """(3,) in [0, 1]: the mean colour of what views (n, h, w, 3) show, its largest channel brought to 1."""
    return full((views[(views < BARE).any(axis=-1)]).mean(axis=0))


def full(color: np.ndarray) -> np.ndarray:
    """A colour (3,), its largest channel brought to 1."""
    return color / max(float(color.max()), 1e-6)


def distances(views: np.ndarray, old: str, wanted: str) -> tuple[float, float]:
    """How far the views' tone is from the old colour's and from the wanted one's."""
    found, known = tone(views), dict(zip(NAMES, np.asarray(RGB, np.float64), strict=True))
    return tuple(float(np.linalg.norm(found - full(known[name]))) for name in (old, wanted))


def first(pipe: Pipeline, request: Request, kind: type) -> CoarseMesh | Views:
    """The first event of that kind; the rest of the run is left out."""
    events = pipe.stream(request)
    try:
        return next(event for event in events if isinstance(event, kind))
    finally:
        events.close()


def measure(pipe: Pipeline, seed: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """The distances of each edit, under "edit" with the pack's settings for edits and under "plain" with its others."""
    loop = pipe.pack.manifest.refiner
    for family, old, wanted in EDITS:
        mesh: Mesh = first(pipe, Request(f"a {old} {family}", seed=seed), CoarseMesh).mesh
        for name, settings in (("edit", {}), ("plain", {"steps": loop.steps, "guidance": loop.guidance})):
            views = first(pipe, Request(f"a {wanted} {family}", mesh=MeshFile(mesh), seed=seed, **settings), Views).images
            yield name, distances(views, old, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    with Pipeline.open(args.pack) as pipe:
        for name, pair in measure(pipe, args.seed):
            found.setdefault(name, []).append(pair)
    for name, pairs in found.items():
        old, wanted = np.array(pairs).T
        print(f"{name}: {int((wanted < old).sum())} of {len(pairs)} nearer to the wanted colour; mean distance to it {wanted.mean():.2f}, "
              f"to the old one {old.mean():.2f}")


if __name__ == "__main__":
    main()

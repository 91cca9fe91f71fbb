"""How long a large OBJ file takes to read, and how much memory, next to trimesh; both in fresh processes, in turn.

    python -m benchmarks.latency.obj_files [--triangles 1000000] [--times 3]

Prints the median seconds of reading alone (imports not counted) and the largest resident memory of each process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from ..harness.command import checked_command

OURS = """
import sys, time
from pathlib import Path
from meshwright.runtime.files.obj.reader import read_obj
began = time.perf_counter()
parts = read_obj(Path(sys.argv[1]).read_bytes(), Path(sys.argv[1]).parent).parts
print(time.perf_counter() - began, sum(len(part.faces) for part in parts))
"""
TRIMESH = """
import sys, time, trimesh
began = time.perf_counter()
mesh = trimesh.load(sys.argv[1], process=False, force="mesh")
print(time.perf_counter() - began, len(mesh.faces))
"""


def write_grid(path: Path, triangles: int, kind: str) -> None:
    """A rough square of so many triangles. kind : "positions", "digits" (17 of them), "full" (uvs and normals), "quads" (full)"""
    side = round((triangles / 2) ** 0.5)
    across, down = np.meshgrid(np.linspace(0, 1, side + 1), np.linspace(0, 1, side + 1))
    rough = 1e-4 * np.random.default_rng(0).random(across.size)
    places = np.stack([across.ravel(), down.ravel(), rough], axis=1).tolist()
    cells = np.arange(side * side)
    first = cells // side * (side + 1) + cells % side + 1
    faces = np.stack([first, first + 1, first + side + 2, first + side + 1], axis=1)
    if kind != "quads":
        faces = faces[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    number = "%r" if kind == "digits" else "%.6f"
    lines = [f"v {number} {number} {number}" % tuple(place) for place in places]
    corner = "%d"
    if kind in ("full", "quads"):
        lines += [f"vt {u:.6f} {v:.6f}" for u, v, _ in places] + [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in places]
        faces, corner = faces.repeat(3, axis=1), "%d/%d/%d"
    face = "f " + " ".join([corner] * (4 if kind == "quads" else 3))
    path.write_text("\n".join(lines + [face % tuple(row) for row in faces.tolist()]) + "\n")


def measured(code: str, path: Path) -> tuple[float, float, int]:
    """Seconds, MiB, and triangles of a program that reads a file and prints the first and the last."""
    ended = checked_command([sys.executable, "-c", code, path])
    seconds, faces = ended.output.split()
    return float(seconds), ended.peak_bytes / (1 << 20), int(faces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--triangles", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    print(f"{'file':<10} {'MB':>5} {'triangles':>10} {'ours, s':>8} {'trimesh, s':>11} {'ours, MiB':>10} {'trimesh, MiB':>13}")
    for kind in ("positions", "digits", "full", "quads"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.obj"
            # In a process of its own: on Linux the memory of this one would count as that of its children.
            writer = multiprocessing.get_context("spawn").Process(target=write_grid, args=(path, options.triangles, kind))
            writer.start()
            writer.join()
            runs = [(measured(OURS, path), measured(TRIMESH, path)) for _ in range(options.times)]
            ours, theirs = ([median(run[side][k] for run in runs) for k in range(3)] for side in (0, 1))
            print(f"{kind:<10} {path.stat().st_size / 1e6:5.0f} {ours[2]:10.0f} {ours[0]:8.2f} {theirs[0]:11.2f} {ours[1]:10.0f} "
                  f"{theirs[1]:13.0f}")


if __name__ == "__main__":
    main()

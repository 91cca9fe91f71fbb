"""Real importers read what the presets write: Blender, Godot 3, three.js. What they say is compared with what was written.

    python -m benchmarks.assets.importers --blender PYTHON_WITH_BPY --modules NODE_MODULES [--out FOLDER]

Needs `bpy` (an environment of its own: it wants numpy below 2), godot3-server and chromium (Debian), three and playwright-core (npm).
Writes assets_importers.md, and docs/importers.png: the chair of the bundled pack by each importer's own renderer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meshwright.runtime import Asset, Pipeline
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.assets.presets import PRESETS

from ..harness.command import ROOT
from ..harness.results import RESULTS, table, write_whole

HERE = Path(__file__).parent
LIMIT_S = 180.0
MOST_APART = 1e-3  # metres
HULL_MARKS = ("UCX_", "UBX_", "_hull_", "_box_")


@dataclass(frozen=True)
class Imported:
    """What an importer made of a file, in glTF's axes.

    low, high : corners of the box of everything drawn, in metres; triangles, parents, textures (width in pixels) : by node
    hulls : nodes that became collision shapes, where the importer knows such
    """

    low: Sequence[float]
    high: Sequence[float]
    triangles: Mapping[str, int]
    parents: Mapping[str, str | None] = field(default_factory=dict)
    textures: Mapping[str, int] = field(default_factory=dict)
    hulls: Mapping[str, str] = field(default_factory=dict)


def in_blender(python: Path, files: Sequence[Path], out: Path) -> dict[str, Imported]:
    """Blender as a module; pictures by Cycles go into `out`."""
    command = [str(python), str(HERE / "in_blender.py"), str(out), *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S)
    report = json.loads((out / "blender.json").read_text("utf-8"))
    return {name: _of_blender(found) for name, found in report.items()}


def _of_blender(found: dict[str, Any]) -> Imported:
    (x0, y0, z0), (x1, y1, z1) = found["low"], found["high"]  # z up, front -y
    objects = found["objects"]
    return Imported((x0, z0, -y1), (x1, z1, -y0), {each["name"]: each["triangles"] for each in objects},
                    {each["name"]: each["parent"] for each in objects},
                    {each["name"]: max((side for size in found["images"] for side in size), default=0) for each in objects})


def in_three(modules: Path, files: Sequence[Path], out: Path) -> dict[str, Imported]:
    """three.js in headless Chromium; pictures go into `out`."""
    command = ["node", str(HERE / "in_three.cjs"), str(modules), str(out), *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    return {name: Imported(found["low"], found["high"], {each["name"]: each["triangles"] for each in found["objects"]},
                           {each["name"]: each["parent"] or None for each in found["objects"]},
                           {each["name"]: each["texture"] for each in found["objects"]})
            for name, found in json.loads(done.stdout).items()}


def in_godot(files: Sequence[Path]) -> dict[str, Imported]:
    """Godot 3's editor imports them into a project, whose scenes a script then looks at."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "project.godot").write_text('config_version=4\n[application]\nconfig/name="check"\n')
        for path in (*files, HERE / "in_godot.gd"):
            shutil.copy(path, project)
        _import_all(project, len(files))
        command = ["godot3-server", "--path", folder, "--script", "in_godot.gd"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S).stdout
    report = json.loads(next(line for line in said.splitlines() if line.startswith("REPORT "))[7:])
    return {name: _of_godot(found) for name, found in report.items()}


def _import_all(project: Path, count: int) -> None:
    """The editor, which does not always quit by itself, until all scenes are there."""
    editor = subprocess.Popen(["godot3-server", "--path", str(project), "--editor", "--quit"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + LIMIT_S
    try:
        while editor.poll() is None and time.monotonic() < ends:
            if len(list(project.glob(".import/*.md5"))) >= count:
                break
            time.sleep(0.2)
    finally:
        editor.kill()
        editor.wait()


def _of_godot(root: dict[str, Any]) -> Imported:
    nodes = list(_walk(root, None))
    drawn = {node["name"]: node for node, _ in nodes if node["class"] == "MeshInstance"}
    boxes = [(np.array(node["low"]), np.array(node["low"]) + node["size"]) for node in drawn.values()]
    hulls = {parent["name"]: node["shape"] for node, parent in nodes if node["class"] == "CollisionShape" and parent is not None}
    return Imported(np.min([low for low, _ in boxes], axis=0).tolist(), np.max([high for _, high in boxes], axis=0).tolist(),
                    {name: node["triangles"] for name, node in drawn.items()}, {}, {name: node["texture"] for name, node in drawn.items()},
                    hulls)


def _walk(node: dict[str, Any], parent: dict[str, Any] | None) -> Any:
    yield node, parent
    for child in node["children"]:
        yield from _walk(child, node)


def differences(asset: Asset, found: Imported, levels: Mapping[str, int]) -> list[str]:
    """What an importer saw otherwise than it was written, in words. levels : nodes with levels of detail, and which"""
    low, high = np.array(found.low), np.array(found.high)
    width, height, depth = asset.size
    said = []
    if np.abs(high - low - [width, height, depth]).max() > MOST_APART:
        said.append(f"size {np.round(high - low, 4).tolist()} for {[round(side, 4) for side in asset.size]}")
    pivot = -low[1] if asset.options.origin == "bottom" else (low + high)[1] / 2
    if abs(pivot) > MOST_APART or np.abs((low + high)[[0, 2]]).max() > 2 * MOST_APART:
        said.append(f"pivot {np.round((low + high) / 2, 4).tolist()}")
    for name, number in levels.items():
        expected = len(asset.levels[number].mesh.faces)
        if found.triangles.get(name) != expected:
            said.append(f"{name} has {found.triangles.get(name)} triangles for {expected}")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blender", type=Path, required=True, help="a Python that has bpy")
    parser.add_argument("--modules", type=Path, required=True, help="a node_modules folder with three and playwright-core")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, Pipeline.open("props", threads=1) as pipeline:
        rows, pictures = _checked(pipeline, Path(place), args.blender, args.modules)
    heading = ("preset", "importer", "levels", "collision shapes", "size, pivot, triangles")
    text = ("# Importers\n\nA wooden chair by the bundled pack, as each preset writes it. What the importer read back is compared with "
            "what was written.")
    write_whole(args.out / "assets_importers.md", f"{text}\n\n{table(heading, rows)}\n")
    from PIL import Image

    Image.fromarray(np.concatenate(pictures, axis=1)).save(ROOT / "docs" / "importers.png")


def _checked(pipeline: Pipeline, place: Path, blender: Path, modules: Path) -> tuple[list[list[str]], list[np.ndarray]]:
    rows, pictures = [], []
    for engine, importers in (("blender", ("Blender 4.5",)), ("godot", ("Godot 3.2",)), ("web", ("three.js",)),
                              ("unity", ("Blender 4.5", "three.js")), ("unreal", ("Blender 4.5",)), ("roblox", ("Blender 4.5",))):
        options: AssetOptions = PRESETS[engine]
        made = pipeline.generate("a wooden chair", seed=1, faces=options.faces, texture=options.texture)
        asset = made.asset(options, made_for=engine)
        folder = place / engine
        folder.mkdir()
        file = asset.save(folder / "chair.glb")[0]
        names = {f"chair_LOD{k}": k for k in range(len(asset.levels))} if engine == "unity" else {"chair": 0}
        for importer in importers:
            out = folder / importer.split()[0]
            out.mkdir()
            found = {"Blender 4.5": lambda: in_blender(blender, [file], out), "Godot 3.2": lambda: in_godot([file]),  # noqa: B023
                     "three.js": lambda: in_three(modules, [file], out)}[importer]()[file.name]  # noqa: B023
            said = differences(asset, found, names)
            hulls = found.hulls or {name: "mesh" for name in found.triangles if any(mark in name for mark in HULL_MARKS)}
            kinds = ", ".join(sorted(set(hulls.values())))
            rows.append([engine, importer, str(sum(name in found.triangles for name in names)), f"{len(hulls)} {kinds}".strip(),
                         "; ".join(said) or "as written"])
            picture = out / f"{file.stem}.png"
            if engine in ("blender", "web") and picture.is_file():
                pictures.append(_picture(picture))
        if engine == "blender":
            pictures.insert(0, asset.preview(256)[:, :256])
    return rows, pictures


def _picture(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((256, 256)))


if __name__ == "__main__":
    main()

"""`meshwright finish` and `meshwright lint`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from ...engines.errors import printable
from ..assets.asset import steps
from ..assets.finish import REPAIR, finish
from ..assets.lint import lint, worst
from ..assets.options import AssetOptions
from ..files.reader import read_mesh
from .asset_options import asset_options
from .progress import Progress
from .targets import Targets

EXIT_CODES = {"ok": 0, "note": 0, "warning": 3, "error": 1}


def finish_command(options: Namespace) -> int:
    """Make of a mesh file what an engine takes. What can be refused is refused before the work starts."""
    wanted = asset_options(options) or AssetOptions(faces=options.faces, texture=options.texture)
    targets = Targets(Path(options.output), None if options.preview is None else Path(options.preview), assets=wanted)
    mesh = Path(options.mesh)
    targets.check([mesh])
    progress = Progress(sys.stderr, (REPAIR, *steps(wanted)), quiet=options.quiet)
    file = read_mesh(mesh, progress.reading(mesh))
    targets.check_sources(file.sources)
    try:
        asset = finish(file, wanted, made_for=options.engine or "", strict=options.collision is not None, on_step=progress.step)
    finally:
        progress.clear()
    for notice in asset.notices:
        progress.note(notice)
    written = targets.write(asset)
    if options.json:
        print(json.dumps({"files": [str(path) for path in written], "asset": asset.describe(), "notices": list(asset.notices)}, indent=2))
    elif not options.quiet:
        print(printable(f"{written[0]}: {len(asset.levels[0].mesh.faces):,} triangles in {sum(asset.timings.values()):.1f} s"))
    return 0


def lint_command(options: Namespace) -> int:
    """Print one verdict a check. 0 where there are at most notes, 3 where there are warnings, 1 where there is an error."""
    found = {file: lint(file, options.engine) for file in options.files}
    gravest = worst(verdict for verdicts in found.values() for verdict in verdicts)
    if options.json:
        print(json.dumps({"severity": gravest, "files": [
            {"file": file, "severity": worst(verdicts), "verdicts": [verdict.describe() for verdict in verdicts]}
            for file, verdicts in found.items()]}, indent=2))
        return EXIT_CODES[gravest]
    for file, verdicts in found.items():
        print(printable(file))
        for verdict in verdicts:
            limit = f"  ({verdict.limit})" if verdict.limit else ""
            print(printable(f"  {verdict.severity:<8} {verdict.check:<18} {verdict.about}: {verdict.found}{limit}"))
    print(f"{gravest}: {sum(verdict.severity == gravest for verdicts in found.values() for verdict in verdicts)} verdicts")
    return EXIT_CODES[gravest]

"""`meshwright packs`: the packs that are found, and which of them are trusted."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from ...engines.cache.shipped import listing_hash
from ...engines.errors import InputError, MeshwrightError, OutputError, printable
from ...engines.files.trust import TRUSTED_BY_NAME, distrust, trust
from ..pack.pack import Pack, installed_packs


def packs(options: Namespace) -> int:
    """List every pack that can be opened by name; one that is broken says why. Or trust one, or no longer."""
    if options.action is not None:
        return _trust(options)
    if options.folder is not None:
        raise InputError("packs takes a folder only after an action", expected="meshwright packs trust FOLDER")
    rows = [_describe(folder) for folder in installed_packs()]
    if options.json:
        print(json.dumps({"packs": rows}, indent=2))
        return 0
    for row in rows:
        print(printable(row["error"] if "error" in row else _lines(row)))
    if not rows:
        print("no packs found")
    return 0


def _lines(row: dict[str, Any]) -> str:
    """A pack for people: one line, and below it what its licence notes and what its weights were made from."""
    first = (f"{row['name']} {row['version']}  recipe {', '.join(row['recipes'])}  licence {row['license']}"
             f" (commercial use: {row['commercial_use']})  {row['bytes'] / 1e6:.1f} MB  {row['folder']}")
    sources = [f"from {source['name']}: {source['license']}" + (
        f" (commercial use: {source['commercial_use']})" if "commercial_use" in source else "") for source in row["sources"]]
    where = [] if row["trusted"] else [f"NOT TRUSTED, and not run: meshwright packs trust {row['folder']} if you know its maker"]
    return "\n    ".join([first, *where, *row["notes"], *sources])


def _trust(options: Namespace) -> int:
    """Trust a pack, once it is whole and its models are what they may be; or forget that it was trusted."""
    if options.folder is None or options.json:
        raise InputError(f"packs {options.action} is about one pack", expected=f"meshwright packs {options.action} FOLDER")
    if options.action == "distrust":
        pack = Pack.open(options.folder, verify=False)
        if (listing := listing_hash(pack.folder)) is not None:
            distrust(listing)
        print(f"{printable(str(pack.folder))} was {'' if distrust(pack.hash) else 'not '}trusted by name"
              + (f", and is still trusted: {printable(pack.trusted)}" if pack.trusted else ", and is not trusted now"))
        return 0
    pack = Pack.open(options.folder, rehash=True)
    engines = listing_hash(pack.folder)
    if not all(trust(pack.folder, digest, TRUSTED_BY_NAME) for digest in (pack.hash, engines) if digest is not None):
        raise OutputError("the list of trusted packs cannot be saved", remedy="set MESHWRIGHT_CONFIG to a folder that only you can write")
    print(printable(_lines(_row(pack))))
    print("trusted: its models will be run. Every hash fits, and they are made of operators that our exporter writes."
          + (" So will the built engines in its folder, which nobody can look into." if engines else ""))
    return 0


def _describe(folder: Path) -> dict[str, Any]:
    try:
        return _row(Pack.open(folder, verify=False))
    except (MeshwrightError, OSError) as error:
        return {"folder": str(folder), "error": f"{folder}: {error}"}


def _row(pack: Pack) -> dict[str, Any]:
    manifest = pack.manifest
    return {"name": manifest.name, "version": manifest.version, "recipe": manifest.recipe, "recipes": list(manifest.recipes),
            "license": manifest.license.id, "commercial_use": manifest.license.commercial_use,
            "notes": list(manifest.license.notes), "sources": [source.describe() for source in dict.fromkeys(manifest.sources)],
            "bytes": pack.bytes, "sha256": pack.hash, "folder": str(pack.folder), "trusted": pack.trusted}

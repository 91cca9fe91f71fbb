"""Builds every component of packs with TensorRT, one at a time, and records seconds, peak memory and the engine's size.

    python -m benchmarks.latency.tensorrt_build --pack DIR [DIR ...] [--backend tensorrt-rtx] [--component KIND ...]

Each build is a process of its own, whose largest resident memory counts, pages of the mapped model included. No GPU is needed
with tensorrt-rtx. What the JSON holds already of the same model file and product is not built again, so a run that was
stopped goes on where it was. The engines are thrown away. Figures go to tensorrt_build.json and tensorrt_build.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from meshwright.engines.errors import MeshwrightError
from meshwright.engines.machine.products import NAMES, Product, choose
from meshwright.engines.tensorrt.build import ELSEWHERE, BuildRequest, build_to
from meshwright.runtime.backends.pack_engines import ranges_of
from meshwright.runtime.pack.manifest import Component
from meshwright.runtime.pack.pack import Pack

from ..harness.command import run_command
from ..harness.results import RESULTS, Results, figure, gib, machine, table

MODULE = "benchmarks.latency.tensorrt_build"
# Operators that say how attention and normalisation reach the builder, and the rest of most networks' work.
TELLING = ("Attention", "GroupNormalization", "LayerNormalization", "Conv", "MatMul", "Gemm")


def main(arguments: list[str] | None = None) -> None:
    args = _parse(arguments)
    if args.one:
        return _build_one(*args.one)
    product = choose(args.backend)
    results = Results(args.out, "tensorrt_build", {"machine": machine(), "packs": {}}, page)
    results.note(args.note)
    for folder in args.pack:
        pack = Pack.open(folder)
        records = results.document["packs"].setdefault(pack.manifest.name, {})
        for component in pack.manifest.components.values():
            if args.component and component.kind not in args.component:
                continue
            key = facts(pack, component, product)
            if key.items() <= records.get(component.name, {}).items() and not args.again:
                continue
            print(f"{pack.manifest.name}: {component.name}", file=sys.stderr, flush=True)
            records[component.name] = {**key, **measure(pack, component, product, args.limit)}
            results.save()
    print(results.page())


def facts(pack: Pack, component: Component, product: Product) -> dict[str, Any]:
    """What a record is of: it counts for no other model file, product or version."""
    return {"sha256": pack.manifest.files[component.file].sha256, "product": product.name, "version": product.version(),
            "compute": component.compute, "parameters": component.parameters}


def measure(pack: Pack, component: Component, product: Product, limit: float) -> dict[str, Any]:
    """One build in a fresh process: seconds, peak memory and the engine's bytes, or what went wrong.

    limit : seconds after which it is ended
    """
    with tempfile.TemporaryDirectory() as folder:
        engine = Path(folder) / "engine"
        ended = run_command([sys.executable, "-m", MODULE, "--one", pack.folder, component.name, product.name, engine], limit=limit)
        return {"seconds": round(ended.seconds, 2), "peak_bytes": ended.peak_bytes, "operators": operators(pack.path(component.file)),
                "bytes": engine.stat().st_size if ended.code == 0 else None, "failed": ended.failure_message}


def _build_one(folder: str, name: str, product: str, engine: str) -> None:
    """In the process that is measured. The build is a child of it, which it waits for."""
    pack = Pack.open(folder, verify=False)
    component = pack.manifest.components[name]
    order = BuildRequest(choose(product), pack.path(component.file), ranges_of(component.spec, pack.manifest.voxels), ELSEWHERE)
    try:
        build_to(order, Path(engine), lambda share: None)
    except MeshwrightError as error:
        raise SystemExit(str(error)) from error


def operators(model: Path) -> dict[str, int]:
    """How many nodes of the telling operators the model has, and of all."""
    import onnx

    kinds = Counter(node.op_type for node in onnx.load(model, load_external_data=False).graph.node)
    return {"all": kinds.total(), **{kind: kinds[kind] for kind in TELLING if kinds[kind]}}


def page(document: dict[str, Any]) -> str:
    """`document` as `main` keeps it."""
    where = document["machine"]
    parts = ["# TensorRT builds", f"`python -m benchmarks.latency.tensorrt_build`, {where['processor']}, {where['cores']} cores, no GPU: "
             "the engines were built and never run. Peak memory is the largest resident set of the building process, pages of the "
             "mapped model included. Nodes are those of the ONNX file; an Attention node stays one node.", *document.get("notes", [])]
    for name, records in document["packs"].items():
        products = sorted({f"{r['product']} {r['version']}" for r in records.values()})
        failures = [f"{component} failed: {r['failed']}" for component, r in records.items() if r["failed"]]
        parts += [f"## {name}", f"{', '.join(products)}.", _table(records), *failures]
    return "\n\n".join(parts)


def _table(records: dict[str, Any]) -> str:
    heading = ["component", "calculates in", "parameters", "nodes", "Attention", "build, s", "peak memory, GiB", "engine, MB"]
    return table(heading, [[name, r["compute"], f"{r['parameters']:,}", str(r["operators"]["all"]), str(r["operators"].get("Attention", 0)),
                            f"{r['seconds']:.1f}", gib(r["peak_bytes"]), "failed" if r["failed"] else figure(r["bytes"], ",.1f", 1e6)]
                           for name, r in records.items()])


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", nargs="+", default=["props"], help="names or folders of packs")
    parser.add_argument("--backend", choices=NAMES, default="tensorrt-rtx")
    parser.add_argument("--component", nargs="+", metavar="KIND", help="only these")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that one build may take")
    parser.add_argument("--again", action="store_true", help="also what the JSON holds already")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the page")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=4, metavar=("PACK", "COMPONENT", "PRODUCT", "ENGINE"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

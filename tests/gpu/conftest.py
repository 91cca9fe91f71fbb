"""What runs on a real card: `python -m pytest tests/gpu -n0`. Without a card each test is skipped, and says why.

MESHWRIGHT_GPU_TESTS=rehearsal runs the very same tests on simulated products, whose kernels the CPU calculates, with a pack of tiny
networks: what has been rehearsed works at the first try where there is a card. `test_rehearsal` does so. MESHWRIGHT_GPU_TESTS=bundled does
it with the bundled pack, which takes minutes. Engines of TensorRT are built first; MESHWRIGHT_GPU_ENGINES names a folder that keeps them
for the next time.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from meshwright.engines.machine.hardware import Hardware, detect_hardware
from meshwright.engines.machine.products import choose
from meshwright.engines.onnxruntime.package import import_onnxruntime
from meshwright.runtime import Pipeline
from meshwright.runtime.backends.candidates import CPU, CUDA
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack

MODE = os.environ.get("MESHWRIGHT_GPU_TESTS")
REHEARSAL = MODE in ("rehearsal", "bundled")
BACKENDS = ("onnxruntime", "tensorrt", "tensorrt-rtx")


def _pack() -> str:
    if MODE != "rehearsal":
        return "props"
    from tests.runtime.lora import mixing_pack

    folder = Path(tempfile.mkdtemp(prefix="meshwright-rehearsal-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(mixing_pack.build(folder / "tiny"))


PACK = _pack()


@dataclass(frozen=True)
class Card:
    """hardware : as detected; cache : folder of the built engines; simulated : `SimulatedGpu` in a rehearsal, else None"""

    hardware: Hardware
    cache: Path
    simulated: Any


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    """The machine's first card; skipped where there is none."""
    kept = os.environ.get("MESHWRIGHT_GPU_ENGINES")
    cache = Path(kept) if kept and not REHEARSAL else tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as patch:
        simulated = _simulate(patch, cache) if REHEARSAL else None
        patch.setenv("MESHWRIGHT_CACHE", str(cache))
        hardware = detect_hardware()
        if not hardware.gpus:
            pytest.skip(f"there is no GPU here: {hardware.no_gpu}")
        yield Card(hardware, cache, simulated)


def _simulate(patch: pytest.MonkeyPatch, cache: Path) -> Any:
    from tests.engines.simulated_onnxruntime import SimulatedProvider
    from tests.runtime.simulated_gpu import SimulatedGpu

    patch.setattr("meshwright.engines.onnxruntime.engine._open", SimulatedProvider().open)
    return SimulatedGpu(patch, cache, products=("tensorrt", "tensorrt-rtx"))


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, card: Card) -> str:
    """Each backend that works on this card, with an engine for every component of the bundled pack; the others are skipped."""
    name: str = request.param
    why = _why_not(name, card)
    if why is not None:
        pytest.skip(why)
    if name != "onnxruntime":
        build_missing(Pack.open(PACK), name, quiet=True)
    return name


def _why_not(name: str, card: Card) -> str | None:
    if name == "onnxruntime":
        there = REHEARSAL or CUDA in import_onnxruntime().get_available_providers()
        missing = "this build of ONNX Runtime has no CUDA" if not there else "there is no cuda-core" if not find_spec("cuda.core") else None
        return missing and f"{missing}: pip install 'meshwright[gpu]'"
    product = choose(name)
    return product.unavailable_reason(card.hardware) or product.unsupported_reason(card.hardware)


def options(backend: str) -> dict[str, Any]:
    """Of `Pipeline.open` and `Models`: that backend runs everything, or it is an error."""
    return {"providers": (CUDA, CPU)} if backend == "onnxruntime" else {"backend": backend}


@pytest.fixture(scope="session")
def pack() -> Pack:
    """The bundled pack, or that of the rehearsal."""
    return Pack.open(PACK, verify=False)


@pytest.fixture(scope="module")
def pipeline(backend: str) -> Iterator[Pipeline]:
    """The pack on that backend. To close it is no harm: it opens again."""
    with Pipeline.open(PACK, trust=True, **options(backend)) as opened:
        yield opened


@pytest.fixture
def open_pipeline(backend: str) -> Iterator[Callable[..., Pipeline]]:
    """`Pipeline.open` of the pack on that backend; what is open is closed after the test."""
    opened: list[Pipeline] = []

    def open_one(**more: Any) -> Pipeline:
        opened.append(Pipeline.open(PACK, trust=True, **{**options(backend), **more}))
        return opened[-1]

    yield open_one
    for pipeline in opened:
        pipeline.close()


@pytest.fixture
def own_cache(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the cache, for a test that changes it."""
    shutil.copytree(card.cache, tmp_path / "cache")
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"

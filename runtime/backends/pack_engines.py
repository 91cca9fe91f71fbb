"""The built engines of one pack: what each is called and made from, which of them fit this machine, and what they were found to give.

`PackEngines.candidates` says which engine may be used; `PackEngines.open` settles on the GPU what only that can say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from ...engines import DeviceMemory, Engine, EngineSpec, LoopOptions, open_engine
from ...engines.cache.cache import EngineCache, Entry
from ...engines.cache.key import Key
from ...engines.cache.record import EngineRecord, GoldenResult
from ...engines.cache.shipped import ShippedEngines
from ...engines.errors import BackendError, ModelFileError, PackError
from ...engines.loop import NORMAL
from ...engines.machine.hardware import Hardware
from ...engines.machine.products import Product, choose
from ...engines.onnxruntime.weights import weights_hash
from ...engines.tensorrt.build import BuildRequest, capabilities_for, workspace_limit
from ...engines.tensorrt.loader import BuildCallbacks, EngineLoader, make_key
from ...engines.tensorrt.network import Range
from ..geometry.voxels import bucket_rows
from ..pack.golden import FILE, Golden
from ..pack.manifest import HALVES, Component, VoxelGrid
from ..pack.pack import Pack
from .candidates import Candidate, Rejected, failure_message

# Engines of one component, a LoRA and a scale each. Each is as large as the component.
MAX_WITH_OTHER_WEIGHTS = 4
# Called with a component's name and the share of its engine that is built, in [0, 1]; what it raises ends the build.
OnBuild = Callable[[str, float], None]
# Points in one query of a field, and cubes in one of its weights, as `isosurface.extract` asks for them. Whoever has more
# asks several times.
CHUNK = 1 << 16
RANGES = {"batch": Range(1, 1, 2), HALVES: Range(1, 2, 2), "points": Range(1, CHUNK, CHUNK), "rays": Range(1, CHUNK, CHUNK),
          "cubes": Range(1, CHUNK // 8, CHUNK // 8)}


class PackEngines:
    """The engines that a pack brings along, where they are trusted, and those in the default cache, for one machine. OutputError where
    this user has no place for a cache."""

    def __init__(self, pack: Pack, hardware: Hardware) -> None:
        self.pack, self.hardware = pack, hardware
        self.loader = EngineLoader(EngineCache(), hardware, ShippedEngines(pack.folder, pack.engines_untrusted))

    def candidates(self, product: Product, component: Component, check: Callable[[Entry], bool]) -> tuple[list[Candidate], list[Rejected]]:
        """The component's engines of one product that may be used here, best first, and why others may not.

        check : whether an engine's bytes are to be compared with its hash, which takes long for a large one
        Raises OutputError for a cache that cannot be read, PackError for a component that cannot be built.
        """
        # Which engines fit by their keys, and are as they were stored: those in the pack's own folder, then those of the cache.
        entries, why = self.loader.find(engine_name(self.pack, component), self.key(product, component), check)
        # TensorRT optimises those less that can be refitted.
        entries += self._refittable(product, component, check)
        if not entries:
            return [], [Rejected(product.name, "not built", why or "no engine is built for it")]
        # Which have passed the golden inputs on this card; those that nobody has tried here are tried when they are opened.
        found: list[Candidate] = []
        rejected: list[Rejected] = []
        for entry in entries:
            golden_result = self.golden_result(entry, component)
            if golden_result is None or golden_result.passed:
                found.append(Candidate(product.name, entry=entry, golden_result=golden_result))
            else:
                rejected.append(Rejected(product.name, "inaccurate", failure_message(golden_result)))
        return found, rejected

    def open(self, candidate: Candidate, component: Component, memory: DeviceMemory, loop: LoopOptions = NORMAL) -> Engine:
        """The engine of a candidate, ready to run and known to be right.

        Raises as `load`, where the product does not call it valid on this card; BackendError where it fails the golden inputs.
        """
        assert candidate.entry is not None  # as it is a product of TensorRT
        engine = self.load(candidate.entry, component, memory, loop)
        try:
            golden_result = candidate.golden_result or self.check_golden(candidate.entry, engine, component)
            if not golden_result.passed:
                raise BackendError(failure_message(golden_result))
        except BaseException:
            engine.close()
            raise
        return engine

    def refittable(self, backend: str, component: Component) -> Entry | None:
        """The component's engine that can be given other weights, if there is one that fits. Raises as `candidates`."""
        return next(iter(self._refittable(choose(backend), component)), None)

    def key(self, product: Product, component: Component, *, refittable: bool = False) -> Key:
        """The key of a component's engine on this machine. PackError as `request`."""
        return make_key(replace(self.request(product, component), refittable=refittable), files_of(self.pack, component), self.hardware)

    def request(self, product: Product, component: Component) -> BuildRequest:
        """What is to be built for a component on this machine. PackError for an axis that no recipe knows."""
        axes = ranges_of(component.spec, self.pack.manifest.voxels)
        return BuildRequest(product, self.pack.path(component.file).absolute(), axes, workspace_limit(self.hardware), exact=component.exact,
                            capabilities=capabilities_for(product, self.hardware))

    def record(self, entry: Entry) -> EngineRecord:
        """What was measured on an engine on this machine's card."""
        gpu = self.hardware.gpus[0] if self.hardware.gpus else None
        return self.loader.cache.record(entry, f"{gpu.name}, compute capability {gpu.compute_capability}" if gpu else "no GPU")

    def golden_result(self, entry: Entry, component: Component) -> GoldenResult | None:
        """What the golden inputs said of an engine; None where they have not been replayed on it."""
        return self.record(entry).golden_result(golden_hash(self.pack), component.tolerance)

    def check_golden(self, entry: Entry, engine: Engine, component: Component) -> GoldenResult:
        """Replay the golden inputs on an engine and keep what they say, where the cache can be written.

        Raises what the engine raises, and then keeps nothing: a GPU that fails says nothing of the engine.
        """
        check = self._golden.replay(engine, component)
        golden_result = GoldenResult.of(golden_hash(self.pack), check.relative, check.tolerance)
        self.record(entry).keep_golden_result(golden_result)
        return golden_result

    def load(self, entry: Entry, component: Component, memory: DeviceMemory, loop: LoopOptions = NORMAL) -> Engine:
        """A built engine, which the product itself calls valid here. Raises as `open_engine`.

        What the golden inputs said of one that does not load is forgotten, so that `meshwright build` tries it, and builds it anew.
        """
        record = self.record(entry)
        try:
            return open_engine(self.pack.path(component.file), backend=entry.key.product, plan=entry.path, record=record, memory=memory,
                               loop=loop)
        except ModelFileError:
            record.forget_golden_result()
            raise

    def with_weights(self, backend: str, component: Component, weights: Mapping[str, np.ndarray], notify: Callable[[str], None],
                     on_build: OnBuild) -> Entry:
        """An engine with other weights than the component's file has, from the cache or built now: it has a key of its own. Of
        those of one component, the last few are kept.

        notify : told what the user should know. Raises as `EngineLoader.load`.
        """
        request = self.request(choose(backend), component)
        files = files_of(self.pack, component) | {"other weights": weights_hash(weights)}
        callbacks = BuildCallbacks(notify, lambda seconds: None, lambda share: on_build(component.name, share))
        entry, _ = self.loader.load(f"{engine_name(self.pack, component)} with other weights", replace(request, weights=weights), files,
                                    callbacks, keep=MAX_WITH_OTHER_WEIGHTS)
        self.loader.cache.use(entry)
        return entry

    def _refittable(self, product: Product, component: Component, check: Callable[[Entry], bool] = lambda entry: True) -> list[Entry]:
        return self.loader.find(engine_name(self.pack, component), self.key(product, component, refittable=True), check)[0]

    @cached_property
    def _golden(self) -> Golden:
        return Golden(self.pack)


def engine_name(pack: Pack, component: Component) -> str:
    """What a component's engine is called in the cache."""
    return f"{pack.manifest.name}/{component.name}"


def files_of(pack: Pack, component: Component) -> dict[str, str]:
    """SHA-256 of a component's files by name, as `pack.json` says and `Pack.open` has checked."""
    names = (component.file, f"{component.file}.data")
    return {name: pack.manifest.files[name].sha256 for name in names if name in pack.manifest.files}


def golden_hash(pack: Pack) -> str:
    """SHA-256 of the golden inputs and outputs."""
    return pack.manifest.files[FILE].sha256


def ranges_of(spec: EngineSpec, grid: VoxelGrid | None = None) -> dict[str, Range]:
    """A range for each open axis of a component's inputs. PackError for an axis that no recipe knows.

    grid : of the pack, if it has one: its buckets are the lengths that the axes voxels_0, voxels_1, ... may have
    """
    known = RANGES if grid is None else RANGES | _voxel_ranges(grid)
    opened = dict.fromkeys(axis for tensor in spec.inputs for axis in tensor.shape if isinstance(axis, str))
    for axis in opened:
        if axis not in known:
            raise PackError("an open axis has no known range", received=axis, expected=", ".join(known))
    return {axis: known[axis] for axis in opened}


def _voxel_ranges(grid: VoxelGrid) -> dict[str, Range]:
    """From the smallest bucket to the largest, best at the one in the middle."""
    usual = grid.buckets[(len(grid.buckets) - 1) // 2]
    rows = zip(*(bucket_rows(bucket, grid.levels) for bucket in (grid.buckets[0], usual, grid.buckets[-1])), strict=True)
    return {f"voxels_{level}": Range(*lengths) for level, lengths in enumerate(rows)}

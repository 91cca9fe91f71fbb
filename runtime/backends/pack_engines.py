"""The built engines of one pack: what each is called and made from, and which of them fit this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from ...engines import DeviceMemory, Engine, open_engine
from ...engines.cache.cache import EngineCache, Entry
from ...engines.cache.golden_result import GoldenResult, drop_verdict, read_verdict, verdict_on, write_verdict
from ...engines.errors import ModelFileError
from ...engines.machine.hardware import Hardware
from ...engines.machine.products import Product, choose
from ...engines.onnxruntime.weights import weights_hash
from ...engines.tensorrt.build import BuildRequest, workspace_limit
from ...engines.tensorrt.loader import BuildCallbacks, EngineLoader
from ..pack.golden import FILE, Golden
from ..pack.manifest import Component
from ..pack.pack import Pack
from .build_axes import ranges_of

# Engines of one component, a LoRA and a scale each. Each is as large as the component.
MAX_WITH_OTHER_WEIGHTS = 4
# Called with a component's name and the share of its engine that is built, in [0, 1]; what it raises ends the build.
OnBuild = Callable[[str, float], None]


class PackEngines:
    """The engines of a pack in the default cache, for one machine. OutputError where this user has no place for a cache."""

    def __init__(self, pack: Pack, hardware: Hardware) -> None:
        self.pack, self.hardware = pack, hardware
        self.loader = EngineLoader(EngineCache(), hardware)

    def find(self, product: Product, component: Component, check: Callable[[Entry], bool]) -> tuple[Entry | None, str]:
        """The component's engine, if there is one that fits; else why there is none. One that can be refitted comes second,
        because TensorRT optimises it less.

        check : whether an engine's bytes are to be compared with its hash, which takes long for a large one
        Raises OutputError for a cache that cannot be read, PackError for a component that cannot be built.
        """
        order = order_of(self.pack, component, product)
        entry, why = self._find(order, component, check)
        if entry is None:
            entry, _ = self._find(replace(order, refittable=True), component, check)
        return entry, why or "no engine is built for it"

    def refittable(self, backend: str, component: Component) -> Entry | None:
        """The component's engine that can be given other weights, if there is one that fits. Raises as `find`."""
        order = order_of(self.pack, component, choose(backend))
        return self._find(replace(order, refittable=True), component, lambda entry: True)[0]

    def golden_result(self, entry: Entry, component: Component) -> GoldenResult | None:
        """What the golden inputs said of an engine; None where they have not been replayed on it."""
        return read_verdict(entry, golden_hash(self.pack), component.tolerance)

    def judge(self, entry: Entry, engine: Engine, component: Component) -> GoldenResult:
        """Replay the golden inputs on an engine and keep what they say, where the cache can be written.

        Raises what the engine raises, and then keeps nothing: a GPU that fails says nothing of the engine.
        """
        check = self._golden.replay(engine, component)
        golden_result = verdict_on(entry, golden_hash(self.pack), check.relative, check.tolerance)
        write_verdict(entry, golden_result)
        return golden_result

    def open(self, entry: Entry, component: Component, memory: DeviceMemory) -> Engine:
        """A built engine, ready to run. Raises as `open_engine`.

        What the golden inputs said of one that does not load is forgotten, so that `meshwright build` tries it, and builds it anew.
        """
        try:
            return open_engine(self.pack.path(component.file), backend=entry.key.product, plan=entry.path, memory=memory)
        except ModelFileError:
            drop_verdict(entry)
            raise

    def with_weights(self, backend: str, component: Component, weights: Mapping[str, np.ndarray], say: Callable[[str], None],
                     on_build: OnBuild) -> Entry:
        """An engine with other weights than the component's file has, from the cache or built now: it has a key of its own. Of
        those of one component, the last few are kept.

        say : told what the user should know. Raises as `EngineLoader.load`.
        """
        order = order_of(self.pack, component, choose(backend), workspace_limit(self.hardware))
        files = files_of(self.pack, component) | {"other weights": weights_hash(weights)}
        tell = BuildCallbacks(say, lambda seconds: None, lambda share: on_build(component.name, share))
        entry, _ = self.loader.load(f"{engine_name(self.pack, component)} with other weights", replace(order, weights=weights), files, tell,
                                    most=MAX_WITH_OTHER_WEIGHTS)
        self.loader.cache.use(entry)
        return entry

    def _find(self, order: BuildRequest, component: Component, check: Callable[[Entry], bool]) -> tuple[Entry | None, str | None]:
        name, files = engine_name(self.pack, component), files_of(self.pack, component)
        entry, why = self.loader.find(name, order, files, check=False)
        if entry is not None and check(entry):
            entry, why = self.loader.find(name, order, files)
        return entry, why

    @cached_property
    def _golden(self) -> Golden:
        return Golden(self.pack)


def engine_name(pack: Pack, component: Component) -> str:
    """What a component's engine is called in the cache."""
    return f"{pack.manifest.name}/{component.name}"


def order_of(pack: Pack, component: Component, product: Product, workspace: int | None = None) -> BuildRequest:
    """What is to be built for a component. PackError for an axis that no recipe knows. workspace : as `Order`."""
    return BuildRequest(product, pack.path(component.file).absolute(), ranges_of(component.spec), workspace)


def files_of(pack: Pack, component: Component) -> dict[str, str]:
    """SHA-256 of a component's files by name, as `pack.json` says and `Pack.open` has checked."""
    names = (component.file, f"{component.file}.data")
    return {name: pack.manifest.files[name].sha256 for name in names if name in pack.manifest.files}


def golden_hash(pack: Pack) -> str:
    """SHA-256 of the golden inputs and outputs."""
    return pack.manifest.files[FILE].sha256

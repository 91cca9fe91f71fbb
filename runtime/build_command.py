"""`meshwright build`: engines for the components of a pack, ahead of their use."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from ..engines.engine_cache import EngineCache, Entry
from ..engines.engine_loader import EngineLoader, Teller
from ..engines.engine_prune import prune
from ..engines.errors import BackendError, InputError, ModelFileError
from ..engines.hardware import look
from ..engines.tensorrt_build import Order, workspace_limit
from ..engines.tensorrt_products import Product, choose
from .build_axes import ranges_of
from .build_progress import BuildProgress
from .manifest import Component
from .pack import Pack


def build(options: Namespace) -> int:
    """Build what is asked for, or list or prune the cache; 1 if a component could not be built."""
    if options.list or options.prune:
        if options.pack is not None or options.component or options.backend is not None:
            raise InputError("--list and --prune are about the whole cache", expected="no pack, component or backend")
        return _list() if options.list else _prune()
    if options.pack is None:
        raise InputError("no pack to build was named", expected="meshwright build PACK")
    product = choose(options.backend)
    product.load()
    pack = Pack.open(options.pack)
    return _Build(pack, product, options.quiet).run(_components(pack, options.component))


def files_of(pack: Pack, component: Component) -> dict[str, str]:
    """SHA-256 of a component's files by name, as `pack.json` says and `Pack.open` has checked."""
    names = (component.file, f"{component.file}.data")
    return {name: pack.manifest.files[name].sha256 for name in names if name in pack.manifest.files}


class _Build:
    """One run of the command over the components of one pack."""

    def __init__(self, pack: Pack, product: Product, quiet: bool) -> None:
        self.pack, self.product, self.quiet = pack, product, quiet
        self.hardware = look()
        self.loader = EngineLoader(EngineCache(), self.hardware)
        self.failed: list[str] = []
        self.built = 0

    def run(self, components: list[Component]) -> int:
        started, say = time.perf_counter(), BuildProgress(sys.stderr, [c.name for c in components], quiet=self.quiet)
        try:
            for component in components:
                say.component(component.name)
                self._one(component, say)
        finally:
            say.clear()
        for message in self.failed:
            print(f"meshwright: {message}", file=sys.stderr)
        if not self.quiet:
            print(f"{self.pack.manifest.name}: {self.built} of {len(components)} engines built for {self.product.name} "
                  f"{self.product.version()} in {time.perf_counter() - started:.1f} s, {len(components) - self.built - len(self.failed)}"
                  f" were there, {len(self.failed)} failed; {self.loader.cache.folder}")
        return 1 if self.failed else 0

    def _one(self, component: Component, say: BuildProgress) -> None:
        """Build one; one that cannot be built keeps no other from it, and what is there stays."""
        order = Order(self.product, self.pack.path(component.file).absolute(), ranges_of(component.spec), workspace_limit(self.hardware))
        try:
            entry, new = self.loader.load(f"{self.pack.manifest.name}/{component.name}", order, files_of(self.pack, component),
                                          Teller(say.note, say.start, say.progress))
        except (BackendError, ModelFileError) as error:
            self.failed.append(str(error))
            say.done("failed")
            return
        self.built += new
        say.done(f"{entry.seconds:6.1f} s  {entry.bytes / 1e6:8.1f} MB" if new else "is there")


def _components(pack: Pack, names: list[str]) -> list[Component]:
    """Those named, in the order of the pack, or all."""
    known = pack.manifest.components
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"pack {pack.manifest.name} has no such component", received=", ".join(unknown), expected=", ".join(known))
    return [component for name, component in known.items() if not names or name in names]


def _list() -> int:
    cache = EngineCache()
    found = list(cache.entries())
    for entry in found:
        print(_line(entry) if isinstance(entry, Entry) else f"damaged: {entry}")
    total = sum(entry.bytes for entry in found if isinstance(entry, Entry))
    print(f"{len(found)} engines, {total / 1e6:.1f} MB in {cache.folder}")
    return 0


def _line(entry: Entry) -> str:
    key = entry.key
    place = "no GPU" if key.device == "none" else f"{key.device} (compute capability {key.capability}, driver {key.driver})"
    return f"{entry.name:<32} {key.product} {key.version}  {place}  {entry.bytes / 1e6:.1f} MB  {entry.seconds:.1f} s"


def _prune() -> int:
    cache = EngineCache()
    gone = prune(cache, look())
    for path, why in gone:
        print(f"{path.name}: {why}")
    print(f"{len(gone)} files deleted from {cache.folder}")
    return 0

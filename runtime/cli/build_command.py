"""`meshwright build`: engines for the components of a pack, ahead of their use."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import replace

from ...engines import DeviceMemory
from ...engines.cache.cache import EngineCache, Entry
from ...engines.cache.key import ANY, NONE
from ...engines.cache.record import GoldenResult
from ...engines.cache.shipped import ship
from ...engines.errors import BackendUnavailable, DeviceLost, EngineError, InputError, ModelFileError, OutputError, PackError, printable
from ...engines.files.trust import EXPORTED, trust
from ...engines.machine.hardware import Hardware, detect_hardware
from ...engines.machine.products import PRODUCTS, Product, choose
from ...engines.tensorrt.loader import BuildCallbacks
from ...engines.tensorrt.prune import prune
from ..backends.candidates import failure_message
from ..backends.pack_engines import PackEngines, engine_name, files_of
from ..backends.selector import TENSORRT
from ..lora.loras import COMPONENTS as UNETS
from ..pack.manifest import Component
from ..pack.pack import Pack
from .progress import Progress


def build(options: Namespace) -> int:
    """Build what is asked for, or list or prune the cache; 1 if a component could not be built."""
    if options.list or options.prune:
        if any((options.pack, options.component, options.backend, options.refit, options.into_pack, options.capabilities)):
            raise InputError("--list and --prune are about the whole cache", expected="no pack and no option of a build")
        return _list() if options.list else _prune()
    if options.pack is None:
        raise InputError("no pack to build was named", expected="meshwright build PACK")
    product = choose(options.backend)
    product.load()
    pack, hardware = Pack.open(options.pack), detect_hardware()
    pack.require_trust()
    if options.refit and not hardware.gpus:
        raise InputError("--refit builds on a GPU only", received=hardware.no_gpu, remedy="leave it out: each LoRA is then built")
    work = _Build(pack, product, hardware, options.quiet, refit=options.refit, capabilities=_capabilities(options, product))
    work.run(_components(pack, options.component))
    if not options.quiet:
        print(printable(work.summary))
    if options.into_pack and work.usable:
        _ship(pack, work.usable, options.quiet)
    return 1 if work.failed else 0


def build_missing(pack: Pack, wanted: str, *, quiet: bool) -> None:
    """What `generate --build` does first: build the engines that the pack lacks here, and say on standard error what came of it.

    wanted : a backend as `BackendSelector` knows it. What cannot be built runs elsewhere, so it stops nothing, nor does a cache that
        cannot be written.
    Errors: InputError for a backend that has no engines; BackendUnavailable where none that has is installed, or none works.
    """
    if wanted not in ("auto", *TENSORRT):
        raise InputError("--build builds engines for TensorRT", received=f"backend {wanted}", expected=", ".join(("auto", *TENSORRT)))
    hardware = detect_hardware()
    product = _product_here(None if wanted == "auto" else choose(wanted), hardware)
    if isinstance(product, str):
        print(f"note: no engines are built: {product}", file=sys.stderr)
        return
    product.load()
    try:
        work = _Build(pack, product, hardware, quiet)
        work.run(list(pack.manifest.components.values()))
    except OutputError as error:
        print(f"note: engines are missing: {error}", file=sys.stderr)
        return
    if not quiet:
        print(printable(work.summary), file=sys.stderr)


def _product_here(named: Product | None, hardware: Hardware) -> Product | str:
    """The product to build for this machine's GPU, or why there is none. BackendUnavailable if it is not installed."""
    if not hardware.gpus:
        return hardware.no_gpu or "there is no GPU"
    if named is not None:
        return named
    installed = [product for product in PRODUCTS if product.is_installed] or [choose()]
    listed = [product for product in installed if product.unsupported_reason(hardware) is None]
    return listed[0] if listed else f"{installed[0].name}: {installed[0].unsupported_reason(hardware)}"


class _Build:
    """One run over components of one pack. failed : one message for each that has no engine that can be used.

    refit : the UNets' engines can take other weights, for LoRAs. capabilities : to build for, none for those of this machine
    usable : the engines that were built or there, and have not failed the golden inputs
    """

    def __init__(self, pack: Pack, product: Product, hardware: Hardware, quiet: bool, *, refit: bool = False,
                 capabilities: tuple[str, ...] = ()) -> None:
        self.pack, self.product, self.quiet, self.hardware, self.refit = pack, product, quiet, hardware, refit
        self.engines = PackEngines(pack, hardware)
        self.capabilities, self.usable = capabilities, list[Entry]()
        self.failed: list[str] = []
        self.summary = ""
        self._built = 0
        self._memory: DeviceMemory | None = None
        self._unchecked: str | None = None if hardware.gpus else "there is no GPU here"

    def run(self, components: list[Component]) -> None:
        """Build those that are missing, and say which failed. OutputError for a cache that cannot be written, BackendUnavailable
        for a product that builds nothing here: both end it."""
        started, progress = time.perf_counter(), Progress(sys.stderr, [c.name for c in components], quiet=self.quiet)
        try:
            for component in components:
                progress.begin(component.name)
                self._one(component, progress)
        finally:
            progress.clear()
            if self._memory is not None:
                self._memory.close()
            for message in self.failed:
                print(printable(f"meshwright: {message}"), file=sys.stderr)
        there = len(components) - self._built - len(self.failed)
        self.summary = (f"{self.pack.manifest.name}: {self._built} of {len(components)} engines built for {self.product.name} "
                        f"{self.product.version()} in {time.perf_counter() - started:.1f} s, {there} were there, "
                        f"{len(self.failed)} failed; {self.engines.loader.cache.folder}")

    def _one(self, component: Component, progress: Progress) -> None:
        """Build and check one; one that cannot be built keeps no other from it, and what is there stays."""
        try:
            entry, new = self._built_or_found(component, progress)
            try:
                golden_result = self._checked(component, entry, progress)
            except ModelFileError as error:
                if new:
                    raise
                progress.note(f"{component.name}: {error}")  # which says that it is rebuilt
                if entry.path.parent == self.engines.loader.cache.folder:  # not one that the pack ships
                    self.engines.loader.cache.remove(entry.path)
                entry, new = self._built_or_found(component, progress, shipped=False)
                golden_result = self._checked(component, entry, progress)
        except BackendUnavailable:  # as it would be for every other one
            raise
        except (EngineError, PackError) as error:
            self.failed.append(str(error))
            progress.done("failed")
            return
        if golden_result is not None and not golden_result.passed:
            self.failed.append(f"{component.name} is not used on {self.product.name}: {failure_message(golden_result)}")
            progress.done("failed")
            return
        self._built += new
        self.usable.append(entry)
        done = f"{entry.seconds:6.1f} s  {entry.bytes / 1e6:8.1f} MB" if new else "is there"
        progress.done(f"{done}  {golden_result}" if golden_result is not None else done)

    def _built_or_found(self, component: Component, progress: Progress, *, shipped: bool = True) -> tuple[Entry, bool]:
        request = self.engines.request(self.product, component)
        request = replace(request, refittable=self.refit and component.kind in UNETS,
                          capabilities=self.capabilities or request.capabilities)
        return self.engines.loader.load(engine_name(self.pack, component), request, files_of(self.pack, component),
                                        BuildCallbacks(progress.note, progress.build_started, progress.building), shipped=shipped)

    def _checked(self, component: Component, entry: Entry, progress: Progress) -> GoldenResult | None:
        """What the golden inputs say of the engine; None where it cannot run, so that whoever uses it first has to ask."""
        golden_result = self.engines.golden_result(entry, component)
        if golden_result is not None or self._unchecked is not None:
            return golden_result
        try:
            if self._memory is None:
                from ...engines.cuda.device import Cuda

                self._memory = DeviceMemory(Cuda())
        except BackendUnavailable as error:
            self._unchecked = str(error)
            progress.note(f"the engines are checked when they are first used: {error}")
            return None
        try:
            with self.engines.load(entry, component, self._memory) as engine:
                return self.engines.check_golden(entry, engine, component)
        except DeviceLost as error:  # the engines of the others can still be built
            self._unchecked = str(error)
            raise


def _components(pack: Pack, names: list[str]) -> list[Component]:
    """Those named, in the order of the pack, or all."""
    known = pack.manifest.components
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"pack {pack.manifest.name} has no such component", received=", ".join(unknown), expected=", ".join(known))
    return [component for name, component in known.items() if not names or name in names]


def _capabilities(options: Namespace, product: Product) -> tuple[str, ...]:
    """Compute capabilities that the engines are to run on, as the user lists them."""
    if options.capabilities is None:
        return ()
    if not product.is_portable:
        raise InputError("--capabilities is about portable engines", received=f"backend {product.name}", expected="backend tensorrt-rtx")
    named = tuple(dict.fromkeys(name.strip() for name in options.capabilities.split(",")))
    if not set(named) <= set(product.capabilities):
        raise InputError("--capabilities", received=options.capabilities, expected=f"some of {','.join(product.capabilities)}")
    return named


def _ship(pack: Pack, entries: list[Entry], quiet: bool) -> None:
    """Put engines into the pack's folder. Who may write there is trusted with what they build, as with a pack that they export."""
    try:
        files, listing = ship(pack.folder, entries, keep=pack.engines_untrusted is None)
    except OSError as error:
        raise OutputError(f"the engines cannot be put into {pack.folder}", received=error.strerror or str(error),
                          remedy="copy the pack to a folder that can be written, or leave out --into-pack") from error
    trust(pack.folder, listing, EXPORTED)
    if not quiet:
        print(printable(f"{len(files)} engines, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB in {files[0].parent}"))


def _list() -> int:
    cache = EngineCache()
    found = list(cache.entries())
    for entry in found:
        print(_line(entry) if isinstance(entry, Entry) else f"damaged: {entry}")
    whole = [entry for entry in found if isinstance(entry, Entry)]
    damaged = f", {len(found) - len(whole)} damaged" if len(found) > len(whole) else ""
    print(f"{len(whole)} engines, {sum(entry.bytes for entry in whole) / 1e6:.1f} MB{damaged} in {cache.folder}")
    return 0


def _line(entry: Entry) -> str:
    key = entry.key
    place = {NONE: "no GPU", ANY: f"compute capability {key.capability}"}.get(
        key.device, f"{key.device} (compute capability {key.capability})")
    return f"{entry.name:<32} {key.product} {key.version}  {place}  {entry.bytes / 1e6:.1f} MB  {entry.seconds:.1f} s"


def _prune() -> int:
    cache = EngineCache()
    gone = prune(cache, detect_hardware(), lambda holder: print(f"waiting for {holder}, which builds into {cache.folder}", file=sys.stderr))
    for path, why in gone:
        print(f"{path.name}: {why}")
    print(f"{len(gone)} files deleted from {cache.folder}")
    return 0

"""Chooses the backend that each component of a pack runs on, opens it there, and says what could not be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ...engines import DeviceMemory, Engine, LoopOptions, open_engine
from ...engines.cuda.driver import Driver
from ...engines.errors import BackendUnavailable, DeviceLost, EngineError, InputError, MeshwrightError, OutputError
from ..pack.manifest import Component
from ..pack.pack import Pack, find_pack
from .candidates import CPU, CUDA, Candidate, Machine, Rejected
from .other_weights import checked, open_with

if TYPE_CHECKING:
    from ...engines.cache.cache import Entry
    from ...engines.machine.products import Product
    from .pack_engines import OnBuild, PackEngines

Weights = Mapping[str, np.ndarray]
BACKENDS = ("auto", "onnxruntime", "tensorrt", "tensorrt-rtx", "null")
TENSORRT = ("tensorrt", "tensorrt-rtx")
GPU_SHARES = {"full": LoopOptions(), "background": LoopOptions(block_ms=8.0)}
# Of ONNX Runtime's CUDA provider, for a component that cannot do with TF32.
EXACT = {"use_tf32": "0"}
# What to do where a backend that was named cannot run a component.
USE_AUTO = "use backend auto, which takes the best that works"


class BackendSelector:
    """How the components of one pack run, from when they are first opened.

    wanted : one of BACKENDS. "auto" takes TensorRT where an engine is built, fits and has passed the golden inputs, else ONNX Runtime's
        CUDA provider where it starts, else the CPU, and `notices` say what it could not use. A backend that is named is strict: a
        component that it cannot run is an error which says why and what to do. "tensorrt" and "tensorrt-rtx" so run every component
        of the pack on an engine of theirs. "onnxruntime" leaves TensorRT out: CUDA where it starts, else the CPU, which is told.
    providers : of ONNX Runtime, which then runs everything, with these alone: one that does not start is an error. Within such a list
        ONNX Runtime gives each operator to the first provider that has it, and those that none has to the CPU.
    machine : what runs models here, where the caller knows it already
    gpu_share : one of GPU_SHARES. "background" leaves the GPU to others as far as that can be asked for: work of low priority, in blocks
        of 8 ms at most
    gpu_bytes : that the engines may take of a GPU's memory, which are refused more; None for all of it
    used : the way in which each component was opened, by name
    """

    def __init__(self, pack: Pack, wanted: str = "auto", providers: tuple[str, ...] | None = None, machine: Machine | None = None,
                 gpu_share: str = "full", gpu_bytes: int | None = None) -> None:
        if wanted not in BACKENDS:
            raise InputError("unknown backend", received=repr(wanted), expected=", ".join(BACKENDS))
        if providers is not None and wanted not in ("auto", "onnxruntime"):
            raise InputError("providers are ONNX Runtime's", received=f"backend {wanted}", expected="backend onnxruntime or auto")
        if gpu_share not in GPU_SHARES:
            raise InputError("unknown GPU share", received=repr(gpu_share), expected=", ".join(GPU_SHARES))
        self.pack, self.wanted, self.providers, self.gpu_share = pack, wanted, providers, gpu_share
        self._gpu_bytes = gpu_bytes
        self.used: dict[str, Candidate] = {}
        self._machine = machine
        self._memory: DeviceMemory | None = None
        self._hashed: set[str] = set()
        self._failed: set[tuple[str, str]] = set()  # candidates, and components: "" for all
        self._notices: dict[str, bool] = {}
        self._reported: set[str] = set()

    def open(self, component: Component, *, threads: int | None = None, map_weights: bool = False, keep_scratch: bool = False,
             weights: Weights | None = None, on_build: OnBuild = lambda name, share: None) -> Engine:
        """The component's engine on the best of what works.

        threads, map_weights, keep_scratch, weights : as `open_engine`. With weights the results on a GPU are compared with the processor's.
        on_build : told of an engine that is built for other weights
        Raises what the last candidate raises, or BackendUnavailable where a backend was named and there is none; for the others there
        are `notices`.
        """
        *better, last = self._choose(component)
        options = {"threads": threads, "map_weights": map_weights, "keep_scratch": keep_scratch}
        for candidate in better:
            self.used[component.name] = candidate
            try:
                return self._open(candidate, component, weights, options, on_build)
            except (EngineError, OutputError) as error:  # the latter of a cache that cannot be written
                self._set_aside(candidate, component, error)
        self.used[component.name] = last
        try:
            return self._open(last, component, weights, options, on_build)
        except DeviceLost:
            raise
        except EngineError as error:
            if self.wanted not in TENSORRT and self.providers is None:
                raise
            raise type(error)(f"{component.name} does not run on {last}: {error.subject}", received=error.received,
                              expected=error.expected, remedy=error.remedy or USE_AUTO) from error

    def candidates(self, component: Component, check: Callable[[Entry], bool]) -> tuple[list[Candidate], list[Rejected]]:
        """What the component may run on, best first, and what would be better, but cannot be used.

        check : whether an engine's bytes are to be compared with its hash, which takes long for a large one
        """
        found: list[Candidate] = []
        rejected: list[Rejected] = []
        for product in self.machine.products:
            if self.wanted in ("auto", product.name):
                built, others = self._engines_of(product, component, check)
                found, rejected = found + built, rejected + others
        if self.wanted in TENSORRT:
            return found, rejected
        if self.machine.cuda is None:
            found.append(Candidate("onnxruntime", (CUDA, CPU)))
        else:
            rejected.append(Rejected("onnxruntime", "unavailable", self.machine.cuda))
        return [*found, Candidate("onnxruntime", (CPU,))], rejected

    def build_command_for(self, backend: str) -> str:
        """The command that builds what is missing."""
        name = _name(self.pack)
        quoted = f'"{name}"' if " " in name else name
        return f"meshwright build {quoted} --backend {backend}"

    @property
    def machine(self) -> Machine:
        """What runs models on this machine, looked at when first asked for."""
        if self._machine is None:
            from ...engines.machine.hardware import detect_hardware

            self._machine = Machine.of(detect_hardware())
        return self._machine

    @cached_property
    def engines(self) -> PackEngines:
        """The built engines. OutputError as `PackEngines`."""
        from .pack_engines import PackEngines

        return PackEngines(self.pack, self.machine.hardware)

    def notify(self, message: str) -> None:
        """Let the user know, once."""
        self._notices.setdefault(message, False)

    def notices(self) -> list[str]:
        """What the user should know and has not been told yet."""
        new = [message for message, told in self._notices.items() if not told]
        self._notices |= dict.fromkeys(new, True)
        return new

    @property
    def memory(self) -> DeviceMemory | None:
        """The GPU's memory that the engines share; None as long as nothing runs there."""
        return self._memory

    @cached_property
    def may_use_gpu(self) -> bool:
        """Whether something could run on a GPU: there is one, and nothing else was asked for."""
        return self.wanted != "null" and (self.providers is None or self.providers[:1] == (CUDA,)) and _has_gpu()

    def retry(self, component: Component) -> None:
        """Try again what could not be used for a component, whose weights have changed."""
        self._failed = {(candidate, name) for candidate, name in self._failed if name != component.name}

    def trim(self) -> None:
        """Give the GPU's memory back that no engine and no array uses now."""
        if self._memory is not None:
            self._memory.trim()

    def close(self) -> None:
        """Give the GPU's memory back, once the engines are closed. What could not be used is tried again afterwards."""
        memory, self._memory, self._machine = self._memory, None, None
        self.__dict__.pop("engines", None)
        self._failed.clear()
        if memory is not None:
            memory.close()

    def _choose(self, component: Component) -> list[Candidate]:
        """What to try, in order. BackendUnavailable where a backend was named and has nothing to run the component with."""
        if self.wanted == "null":
            return [Candidate("null")]
        if self.providers is not None:
            return [Candidate("onnxruntime", self.providers)]
        if self.wanted not in TENSORRT and not _has_gpu():
            return [Candidate("onnxruntime", (CPU,))]
        found, rejected = self.candidates(component, lambda entry: entry.sha256 not in self._hashed)
        if not found:
            self._refuse(component, rejected)
        self._notify_of(component, found, rejected)
        *better, last = found
        return [each for each in better if not {(str(each), ""), (_identity(each), component.name)} & self._failed] + [last]

    def _engines_of(self, product: Product, component: Component,
                    check: Callable[[Entry], bool]) -> tuple[list[Candidate], list[Rejected]]:
        """As `PackEngines.candidates`; none where the product runs nothing on this machine."""
        why = self.machine.products[product]
        if why is None and self.wanted == "auto":  # a card that it does not list is tried where the product is asked for by name
            why = product.unsupported_reason(self.machine.hardware)
        if why is not None:
            return [], [Rejected(product.name, "unavailable", why)]
        try:
            return self.engines.candidates(product, component, check)
        except MeshwrightError as error:  # a cache that cannot be read, an axis without a range
            return [], [Rejected(product.name, "not built", str(error))]

    def _open(self, candidate: Candidate, component: Component, weights: Weights | None, options: dict[str, Any],
              on_build: OnBuild) -> Engine:
        """options : of ONNX Runtime"""
        if candidate.entry is None:
            memory = self._device_memory() if candidate.providers[:1] == (CUDA,) else None
            providers = [(name, EXACT) if name == CUDA and component.exact else name for name in candidate.providers]
            engine = open_engine(self.pack.path(component.file), backend=candidate.backend, providers=providers,
                                 memory=memory, loop=self._loop, weights=weights, **options)
            return checked(engine, self.pack, component, weights) if weights and _is_elsewhere(candidate) else engine
        self._hashed.add(candidate.entry.sha256)
        if weights:
            engine, entry = open_with(candidate, self.pack, component, weights, self._device_memory(), self.engines, self.notify, on_build,
                                      self._loop)
            self.used[component.name] = replace(candidate, entry=entry)
            return engine
        return self.engines.open(candidate, component, self._device_memory(), self._loop)

    def _device_memory(self) -> DeviceMemory:
        if self._memory is None:
            from ...engines.cuda.device import Cuda

            self._memory = DeviceMemory(Cuda(low_priority=self.gpu_share == "background"), self._gpu_bytes)
        return self._memory

    @property
    def _loop(self) -> LoopOptions:
        return GPU_SHARES[self.gpu_share]

    def _set_aside(self, candidate: Candidate, component: Component, error: MeshwrightError) -> None:
        """Do not try it again for this component; for any, where the backend itself is what fails."""
        everywhere = isinstance(error, BackendUnavailable | DeviceLost)
        self._failed.add((str(candidate), "") if everywhere else (_identity(candidate), component.name))
        subject = f"{candidate} does not work here" if everywhere else f"{component.name} does not run on {candidate}"
        self.notify(f"{subject}: {error}")

    def _refuse(self, component: Component, rejected: list[Rejected]) -> NoReturn:
        build = any(each.cause == "not built" for each in rejected)
        raise BackendUnavailable(f"{component.name} does not run on {self.wanted}: {'; '.join(each.why for each in rejected)}",
                                 remedy=f"{self.build_command_for(self.wanted)}, or {USE_AUTO}" if build else USE_AUTO)

    def _notify_of(self, component: Component, found: list[Candidate], rejected: list[Rejected]) -> None:
        """What the user can do something about: an engine that is off, one to be built."""
        for each in rejected:
            if each.cause == "inaccurate":
                self.notify(f"{component.name} does not run on {each.backend}: {each.why}")
        if any(candidate.entry is not None for candidate in found):
            return
        for each in rejected:
            if each.cause == "not built" and each.backend not in self._reported:  # it is the same for most components
                self._reported.add(each.backend)
                self.notify(f"{component.name} does not run on {each.backend}: {each.why}; for this and similar components: "
                         f"{self.build_command_for(each.backend)}")


def _identity(candidate: Candidate) -> str:
    """A product may have several engines for one component."""
    return candidate.entry.sha256 if candidate.entry is not None else str(candidate)


def _is_elsewhere(candidate: Candidate) -> bool:
    """Whether ONNX Runtime runs it on something else than the processor."""
    return bool(candidate.providers) and candidate.providers[0] != CPU


def _has_gpu() -> bool:
    """Whether there is a GPU to look at more closely; takes no time where there is no driver."""
    try:
        return Driver().count() > 0
    except BackendUnavailable:
        return False


def _name(pack: Pack) -> str:
    """What finds this pack again: its name, or its folder."""
    try:
        return pack.folder.name if find_pack(pack.folder.name).samefile(pack.folder) else str(pack.folder)
    except (MeshwrightError, OSError):
        return str(pack.folder)

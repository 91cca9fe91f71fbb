"""Opens each component of a pack on the best backend that works here, and says what it could not use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engines import DeviceMemory, Engine, open_engine
from ...engines.cuda.driver import Driver
from ...engines.errors import BackendUnavailable, DeviceLost, EngineError, InputError, MeshwrightError, OutputError
from ..pack.manifest import Component
from ..pack.pack import Pack
from .candidates import CPU, CUDA, Candidate, Candidates, Machine, Rejected, failure_message
from .other_weights import checked, open_with

if TYPE_CHECKING:
    from ...engines.cache.cache import Entry
    from .pack_engines import OnBuild, PackEngines

Weights = Mapping[str, np.ndarray]
BACKENDS = ("auto", "onnxruntime", "tensorrt", "tensorrt-rtx", "null")
TENSORRT = ("tensorrt", "tensorrt-rtx")


class Backends:
    """How the components of one pack run, from when they are first opened.

    wanted : one of BACKENDS. "auto" takes TensorRT where an engine is built, fits and has passed the golden inputs, else
        ONNX Runtime's CUDA provider where it starts, else the CPU. A TensorRT product takes the others' place as "auto" does
        where it has no engine; "onnxruntime" leaves TensorRT out.
    providers : of ONNX Runtime, which then runs everything, with these alone
    used : the way in which each component was opened, by name
    """

    def __init__(self, pack: Pack, wanted: str = "auto", providers: tuple[str, ...] | None = None) -> None:
        if wanted not in BACKENDS:
            raise InputError("the backend is unknown", received=repr(wanted), expected=", ".join(BACKENDS))
        if providers is not None and wanted in TENSORRT:
            raise InputError("providers are ONNX Runtime's", received=f"backend {wanted}", expected="backend onnxruntime or auto")
        self.pack, self.wanted, self.providers = pack, wanted, providers
        self.used: dict[str, Candidate] = {}
        self._candidates: Candidates | None = None
        self._memory: DeviceMemory | None = None
        self._hashed: set[str] = set()
        self._given_up: set[tuple[str, str]] = set()  # candidates, and components: "" for all
        self._said: dict[str, bool] = {}
        self._told_of: set[str] = set()

    def open(self, component: Component, *, threads: int | None = None, map_weights: bool = False, keep_scratch: bool = False,
             weights: Weights | None = None, on_build: OnBuild = lambda name, share: None) -> Engine:
        """The component's engine on the best of what works.

        threads, map_weights, keep_scratch, weights : as `open_engine`. With weights the results on a GPU are compared with the processor's.
        on_build : told of an engine that is built for other weights
        Raises what the last way there is raises; for the others there are `notices`.
        """
        *better, last = self._candidates_of(component)
        options = {"threads": threads, "map_weights": map_weights, "keep_scratch": keep_scratch}
        for candidate in better:
            self.used[component.name] = candidate
            try:
                engine = self._open(candidate, component, weights, options, on_build)
            except (EngineError, OutputError) as error:  # the latter of a cache that cannot be written
                self._give_up(candidate, component, error)
                continue
            if engine is not None:
                return engine
            self._given_up.add((str(candidate), component.name))
        self.used[component.name] = last
        engine = self._open(last, component, weights, options, on_build)
        assert engine is not None  # the last one is none of TensorRT's
        return engine

    def say(self, message: str) -> None:
        """Let the user know, once."""
        self._said.setdefault(message, False)

    def notices(self) -> list[str]:
        """What the user should know and has not been told yet."""
        new = [message for message, told in self._said.items() if not told]
        self._said |= dict.fromkeys(new, True)
        return new

    @property
    def memory(self) -> DeviceMemory | None:
        """The GPU's memory that the engines share; None as long as nothing runs there."""
        return self._memory

    def retry(self, component: Component) -> None:
        """Try again what could not be used for a component, whose weights have changed."""
        self._given_up = {(candidate, name) for candidate, name in self._given_up if name != component.name}

    def trim(self) -> None:
        """Give the GPU's memory back that no engine and no array uses now."""
        if self._memory is not None:
            self._memory.trim()

    def close(self) -> None:
        """Give the GPU's memory back, once the engines are closed. What could not be used is tried again afterwards."""
        memory, self._memory, self._candidates = self._memory, None, None
        self._given_up.clear()
        if memory is not None:
            memory.close()

    def _candidates_of(self, component: Component) -> list[Candidate]:
        if self.wanted == "null":
            return [Candidate("null")]
        if self.providers is not None:
            return [Candidate("onnxruntime", self.providers)]
        if self.wanted not in TENSORRT and not _has_gpu():
            return [Candidate("onnxruntime", (CPU,))]
        if self._candidates is None:
            from ...engines.machine.hardware import detect_hardware

            self._candidates = Candidates(self.pack, Machine.of(detect_hardware()), self.wanted)
        candidates, rejected = self._candidates.of(component, check=self._is_new)
        self._tell(component, candidates, rejected)
        *better, last = candidates
        return [each for each in better if not {(str(each), ""), (str(each), component.name)} & self._given_up] + [last]

    def _is_new(self, entry: Entry) -> bool:
        """Whether this process has not compared the engine's bytes with its hash yet."""
        return entry.sha256 not in self._hashed

    def _open(self, candidate: Candidate, component: Component, weights: Weights | None, options: dict[str, Any],
              on_build: OnBuild) -> Engine | None:
        """The engine, or None for one of TensorRT that is off. options : of ONNX Runtime."""
        if candidate.entry is None:
            memory = self._spare_memory() if candidate.providers[:1] == (CUDA,) else None
            engine = open_engine(self.pack.path(component.file), backend=candidate.backend, providers=candidate.providers,
                                 memory=memory, weights=weights, **options)
            return checked(engine, self.pack, component, weights) if weights and _is_elsewhere(candidate) else engine
        self._hashed.add(candidate.entry.sha256)
        if weights:
            engine, entry = open_with(candidate, self.pack, component, weights, self._device_memory(), self._built, self.say,
                                      on_build)
            self.used[component.name] = replace(candidate, entry=entry)
            return engine
        engine = self._built.open(candidate.entry, component, self._device_memory())
        try:
            if candidate.golden_result is None and not self._passes(engine, candidate.entry, candidate, component):
                engine.close()
                return None
        except BaseException:
            engine.close()
            raise
        return engine

    def _passes(self, engine: Engine, entry: Entry, candidate: Candidate, component: Component) -> bool:
        """Replay the golden inputs on an engine that has not seen them yet, and keep what they say."""
        golden_result = self._built.judge(entry, engine, component)
        if not golden_result.passed:
            self._tell(component, [], [Rejected(candidate.backend, "off", failure_message(golden_result))])
        return golden_result.passed

    @property
    def _built(self) -> PackEngines:
        """The pack's built engines, among which the candidates were found."""
        assert self._candidates is not None
        return self._candidates.engines

    def _device_memory(self) -> DeviceMemory:
        if self._memory is None:
            from ...engines.cuda.device import Cuda

            self._memory = DeviceMemory(Cuda())
        return self._memory

    def _spare_memory(self) -> DeviceMemory | None:
        """The same for ONNX Runtime, which has a pool of its own where ours cannot be had."""
        try:
            return self._device_memory()
        except BackendUnavailable:
            return None

    def _give_up(self, candidate: Candidate, component: Component, error: MeshwrightError) -> None:
        """Do not try it again for this component; for any, where the backend itself is what fails."""
        everywhere = isinstance(error, BackendUnavailable | DeviceLost)
        self._given_up.add((str(candidate), "" if everywhere else component.name))
        subject = f"{candidate} does not work here" if everywhere else f"{component.name} does not run on {candidate}"
        self.say(f"{subject}: {error}")

    def _tell(self, component: Component, candidates: list[Candidate], rejected: list[Rejected]) -> None:
        """What the user can do something about, or asked for: an engine that is off, one to be built, a backend that is not here."""
        for each in rejected:
            if each.cause == "off":
                self.say(f"{component.name} does not run on {each.backend}: {each.why}")
        if any(candidate.entry is not None for candidate in candidates):
            return
        for each in rejected:
            if each.cause == "unbuilt" and self._candidates is not None:
                self._once(each.backend, f"{component.name} does not run on {each.backend}: {each.why}; for this and others like it: "
                                         f"{self._candidates.how_to_build(each.backend)}")
            elif each.backend == self.wanted != "onnxruntime":
                self._once(each.backend, f"nothing runs on {each.backend}: {each.why}")

    def _once(self, backend: str, message: str) -> None:
        """Say one such thing for all components: it is the same for most of them."""
        if backend not in self._told_of:
            self._told_of.add(backend)
            self.say(message)


def _is_elsewhere(candidate: Candidate) -> bool:
    """Whether ONNX Runtime runs it on something else than the processor."""
    return bool(candidate.providers) and candidate.providers[0] != CPU


def _has_gpu() -> bool:
    """Whether there is a GPU to look at more closely; takes no time where there is no driver."""
    try:
        return Driver().count() > 0
    except BackendUnavailable:
        return False

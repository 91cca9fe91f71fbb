"""The model files of one open pack: opened when first needed, then kept; and the replay of its golden inputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engines import DeviceArray, Engine
from ...engines.errors import InputError, MeshwrightError
from ..images import Matting
from ..pack.golden import Check, Golden
from ..pack.manifest import required, shallow_kind
from ..pack.pack import Pack
from ..text.prompt import Tokenizer, Tokens, load_tokenizer
from .memory_needs import GPU_CONTEXT, LARGE, check_fits, on_gpu, read_size
from .selector import BackendSelector

if TYPE_CHECKING:
    from .pack_engines import OnBuild

MEMORY = ("normal", "low", "lowest")


class Models:
    """Engines and tokenizers of a pack. Use it from one run at a time.

    backend, providers, gpu_share : see `BackendSelector`
    memory : "normal" keeps all model files open. "low" holds one large one at a time, and none when a stage is done,
        which takes the time to open them in each run; the results are the same. "lowest" leaves their weights on the
        disk as well (`open_engine`'s map_weights): a little slower, and the results differ by rounding.
    vram : most bytes of a GPU's memory, or "6G": components are closed, those that were not used for longest first, so that what is open
        and runs stays below, as far as `memory_needs` can tell; beyond it nothing is allocated. InputError where one alone is too large
    measure_memory : tell each stage's peak of memory. On Linux this resets the mark that the system keeps for the whole process
        (VmHWM), which the host program may be watching: for programs of one's own.
    loading : seconds spent so far on opening model files
    """

    def __init__(self, pack: Pack, *, backend: str = "auto", providers: Sequence[str] | None = None, threads: int | None = None,
                 memory: str = "normal", measure_memory: bool = False, gpu_share: str = "full", vram: int | str | None = None) -> None:
        self._vram = None if vram is None else read_size(vram)
        self.backends = BackendSelector(pack, backend, None if providers is None else tuple(providers), gpu_share=gpu_share,
                                        gpu_bytes=None if self._vram is None else max(0, self._vram - GPU_CONTEXT))
        if self._vram is not None and self.backends.may_use_gpu:
            check_fits(pack.manifest, self._vram)
        if threads is not None and not 1 <= threads <= 1024:
            raise InputError("threads is out of range", received=str(threads), expected="1 to 1024")
        if memory not in MEMORY:
            raise InputError("unknown memory mode", received=repr(memory), expected=", ".join(MEMORY))
        self.pack, self.threads, self.memory, self.measure_memory = pack, threads, memory, measure_memory
        self.loading = 0.0
        self._engines: dict[str, Engine] = {}
        self._ahead: dict[str, Future[Engine]] = {}
        self._weights: dict[str, Mapping[str, np.ndarray]] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._unconditional: dict[str, np.ndarray] = {}
        self._matting: Matting | None = None
        self._lock = threading.RLock()

    def engine(self, kind: str, on_build: OnBuild = lambda name, share: None) -> Engine:
        """The engine of a component, opened at the first call. on_build : as `BackendSelector.open`"""
        with self._lock:
            if kind not in self._engines:
                large = self._is_large(kind)
                if self.memory != "normal" and large:
                    self._close_large()
                if self._vram is not None and self.backends.may_use_gpu:
                    self._make_room(kind, self._vram - GPU_CONTEXT)
                started = time.perf_counter()
                ahead = self._ahead.pop(kind, None)
                self._engines[kind] = self._open(kind, on_build) if ahead is None or ahead.cancel() else ahead.result()
                self.loading += time.perf_counter() - started
            self._engines[kind] = self._engines.pop(kind)  # which was used last stands last
            return self._engines[kind]

    def open_ahead(self, kinds: Iterable[str]) -> None:
        """Open components of these that the pack has, one after another, on a thread of its own, while the run is busy with others. The
        first that is not open yet is left to the run, which needs it at once.

        On the CPU with memory to spare alone: elsewhere one waits for the device, and opens one at a time on purpose. Nor where one
        thread was asked for.
        """
        with self._lock:
            if self.memory != "normal" or self.backends.wanted == "null" or self.backends.may_use_gpu or self.threads == 1:
                return
            missing = [kind for kind in kinds if self.has(kind) and kind not in self._engines and kind not in self._ahead]
            if len(missing) > 1:
                with_one_thread = ThreadPoolExecutor(1, "meshwright-open")
                self._ahead |= {kind: with_one_thread.submit(self._open, kind) for kind in missing[1:]}
                with_one_thread.shutdown(wait=False)

    def stop_opening(self) -> None:
        """Open no further components ahead. The one that is being opened stays for whoever asks for it."""
        with self._lock:
            self._ahead = {kind: ahead for kind, ahead in self._ahead.items() if not ahead.cancel()}

    def _open(self, kind: str, on_build: OnBuild = lambda name, share: None) -> Engine:
        large = self._is_large(kind)
        return self.backends.open(self.pack.component(kind), threads=self.threads, map_weights=large and self.memory == "lowest",
                                  keep_scratch=not large and self.memory == "normal", weights=self._weights.get(kind), on_build=on_build)

    def _drop_ahead(self) -> None:
        """Close what was opened ahead and not asked for."""
        self.stop_opening()
        ahead, self._ahead = self._ahead, {}
        for future in ahead.values():
            if future.exception() is None:
                future.result().close()

    def shallow_engine(self, kind: str) -> Engine:
        """Of the step that takes the deep features of the step model `kind`. InputError where that runs with other weights."""
        if self._weights.get(kind):
            raise InputError("deep_cache cannot be combined with a LoRA, which changes only one of the two networks",
                             remedy="leave one of them out")
        return self.engine(shallow_kind(kind))

    def set_weights(self, kind: str, weights: Mapping[str, np.ndarray]) -> None:
        """Run a component with `weights` in place of those of these names in its file, from its next use; without any, as it is."""
        with self._lock:
            self._drop_ahead()
            if kind in self._engines:
                self._engines.pop(kind).close()
            self.backends.retry(self.pack.component(kind))
            self._weights.pop(kind, None)
            if weights:
                self._weights[kind] = weights

    def run(self, kind: str, *, keep: Collection[str] = (), **inputs: np.ndarray | DeviceArray) -> dict[str, Any]:
        """One evaluation of a component; tensors by name.

        keep : outputs that stay where the component's engine has them, for another component to take. On the CPU that is
            an array like any other.
        """
        return self.engine(kind).run(inputs, keep=keep)

    def has(self, kind: str) -> bool:
        """Whether the pack holds such a component."""
        return self.pack.manifest.find(kind) is not None

    @property
    def matting(self) -> Matting:
        """What cuts the objects out of pictures; its network is opened when first needed, and kept."""
        if self._matting is None:
            self._matting = Matting(threads=self.threads, keep_scratch=self.memory == "normal")
        return self._matting

    def prewarm(self, kinds: Iterable[str] | None = None) -> None:
        """Open the named components, or all that may stay open, so that the first run does not wait for them."""
        every = [c.kind for c in self.pack.manifest.components.values()]
        kept = [kind for kind in every if self.memory == "normal" or not self._is_large(kind)]
        for kind in kinds if kinds is not None else kept:
            self.engine(kind)

    def stage_done(self) -> None:
        """Where memory is to be saved, give back what the next stage is not known to need."""
        if self.memory != "normal":
            with self._lock:
                self._close_large()
                self.backends.trim()

    def notices(self) -> list[str]:
        """What the user should know of the backends and has not been told yet."""
        for kind, engine in list(self._engines.items()):  # `prewarm` may be adding some on another thread
            if engine.block_choice is not None and engine.block_choice.why_not is not None:
                self.backends.notify(f"{kind} is launched step by step, without a CUDA graph: {engine.block_choice.why_not}")
        return self.backends.notices()

    def reset_device_peak(self) -> None:
        """Start the mark of `device_peak` anew."""
        if self.backends.memory is not None:
            self.backends.memory.reset_peak()

    def device_peak(self) -> int | None:
        """Bytes of the GPU's memory that were held at the most since `reset_device_peak`; None where nothing ran there."""
        return None if self.backends.memory is None else self.backends.memory.peak_bytes

    def provenance(self) -> dict[str, Any]:
        """What the components were run on, as plain JSON: the backends, ONNX Runtime's providers, and TensorRT's engines."""
        candidates = self.backends.used
        engines = {name: {"backend": each.backend, "sha256": each.entry.sha256} for name, each in sorted(candidates.items()) if each.entry}
        return {"backend": " and ".join(sorted({candidate.backend for candidate in candidates.values()})),
                "providers": list(dict.fromkeys(provider for candidate in candidates.values() for provider in candidate.providers)),
                **({"engines": engines} if engines else {})}

    def close(self) -> None:
        """Give everything back. A later use opens the files again."""
        with self._lock:
            self._drop_ahead()
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._unconditional.clear()
            if self._matting is not None:
                self._matting.close()
            self.backends.close()

    def _is_large(self, kind: str) -> bool:
        return self.pack.manifest.size(self.pack.component(kind)) >= LARGE

    def _close_large(self) -> None:
        for kind in [kind for kind in self._engines if self._is_large(kind)]:
            self._engines.pop(kind).close()

    def _make_room(self, kind: str, limit: int) -> None:
        """Close what was not used for longest, so that a component can be opened, and each that is open can run."""
        manifest = self.pack.manifest
        new, running = on_gpu(manifest, self.pack.component(kind))
        while self._engines:
            self.backends.trim()
            there = [on_gpu(manifest, self.pack.component(each)) for each in self._engines]
            estimated = sum(weights for weights, _ in there) + max(each for _, each in (*there, (new, running)))
            held = 0 if self.backends.memory is None else self.backends.memory.held_bytes + running
            if new + max(estimated, held) <= limit:
                return
            self._engines.pop(next(iter(self._engines))).close()
        self.backends.trim()

    def tokenizer(self, encoder: str) -> Tokenizer:
        """The tokenizer that goes with "text_encoder" or "prior_text_encoder"."""
        if encoder not in self._tokenizers:
            manifest = self.pack.manifest
            text = (manifest.prior_text if encoder == "prior_text_encoder" else None) or required(manifest.text)
            self._tokenizers[encoder] = load_tokenizer(self.pack.path(text.tokenizer), text.length)
        return self._tokenizers[encoder]

    def embeddings(self, encoder: str, tokens: Tokens) -> np.ndarray:
        """(1, T, D) float32: the text encoder's token states, zero where there is no token."""
        embeddings: np.ndarray = self.run(encoder, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)["states"]
        return embeddings

    def unconditional(self, encoder: str, kind: str, like: np.ndarray) -> np.ndarray:
        """(1, T, D) float32: the states of the empty prompt, computed once, or zeros like `like`."""
        if kind == "zeros":
            return np.zeros_like(like)
        if encoder not in self._unconditional:
            self._unconditional[encoder] = self.embeddings(encoder, self.tokenizer(encoder).encode(""))
        return self._unconditional[encoder]


def verify_pack(models: Models) -> Iterator[Check]:
    """Yield one `Check` for each component of the pack, in the order of `pack.json`."""
    golden = Golden(models.pack)
    for component in models.pack.manifest.components.values():
        try:
            yield golden.replay(models.engine(component.kind), component)
        except MeshwrightError as error:
            yield Check(component.name, np.inf, np.inf, component.tolerance, str(error))

"""The model files of one open pack: opened when first needed, then kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np

from ..engines import Engine, open_engine
from ..engines.errors import InputError
from .pack import Pack
from .text import Tokenizer, Tokens, load_tokenizer

BACKENDS = ("onnxruntime", "null")
MEMORY = ("normal", "low", "lowest")
# Model files from here on count: closing and opening the others would save little and take time.
LARGE = 64 << 20


class Models:
    """Engines and tokenizers of a pack on one backend. Use it from one run at a time.

    memory : "normal" keeps all model files open. "low" holds one large one at a time, and none when a stage is done,
        which takes the time to open them in each run; the results are the same. "lowest" leaves their weights on the
        disk as well (`open_engine`'s map_weights): a little slower, and the results differ by rounding.
    loading : seconds spent so far on opening model files
    """

    def __init__(self, pack: Pack, *, backend: str = "onnxruntime",
                 providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None,
                 memory: str = "normal") -> None:
        if threads is not None and not 1 <= threads <= 1024:
            raise InputError("threads is out of range", received=str(threads), expected="1 to 1024")
        if memory not in MEMORY:
            raise InputError("memory is unknown", received=repr(memory), expected=", ".join(MEMORY))
        self.pack, self.backend, self.providers, self.threads = pack, backend, tuple(providers), threads
        self.memory = memory
        self.loading = 0.0
        self._engines: dict[str, Engine] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._unconditional: dict[str, np.ndarray] = {}
        self._lock = threading.RLock()

    def engine(self, kind: str) -> Engine:
        """The engine of a component, opened at the first call."""
        with self._lock:
            if kind not in self._engines:
                large = self._is_large(kind)
                if self.memory != "normal" and large:
                    self._close_large()
                started = time.perf_counter()
                path = self.pack.path(self.pack.component(kind).file)
                self._engines[kind] = open_engine(path, backend=self.backend, providers=self.providers, threads=self.threads,
                                                  map_weights=large and self.memory == "lowest")
                self.loading += time.perf_counter() - started
            return self._engines[kind]

    def run(self, kind: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """One evaluation of a component; tensors by name."""
        return self.engine(kind).run(inputs)

    def has(self, kind: str) -> bool:
        """Whether the pack holds such a component."""
        return self.pack.manifest.find(kind) is not None

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

    def close(self) -> None:
        """Give everything back. A later use opens the files again."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._unconditional.clear()

    def _is_large(self, kind: str) -> bool:
        return self.pack.manifest.size(self.pack.component(kind)) >= LARGE

    def _close_large(self) -> None:
        for kind in [kind for kind in self._engines if self._is_large(kind)]:
            self._engines.pop(kind).close()

    def tokenizer(self, encoder: str) -> Tokenizer:
        """The tokenizer that goes with "text_encoder" or "prior_text_encoder"."""
        if encoder not in self._tokenizers:
            manifest = self.pack.manifest
            text = (manifest.prior_text if encoder == "prior_text_encoder" else None) or manifest.text
            self._tokenizers[encoder] = load_tokenizer(self.pack.path(text.tokenizer), text.length)
        return self._tokenizers[encoder]

    def states(self, encoder: str, tokens: Tokens) -> np.ndarray:
        """(1, T, D) float32: the text encoder's token states, zero where there is no token."""
        outputs = self.run(encoder, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return outputs["states"]

    def unconditional(self, encoder: str, kind: str, like: np.ndarray) -> np.ndarray:
        """(1, T, D) float32: the states of the empty prompt, computed once, or zeros like `like`."""
        if kind == "zeros":
            return np.zeros_like(like)
        if encoder not in self._unconditional:
            self._unconditional[encoder] = self.states(encoder, self.tokenizer(encoder).encode(""))
        return self._unconditional[encoder]

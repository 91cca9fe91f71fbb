"""The model files of one open pack: opened when first needed, then kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np

from ..engines import Engine, open_engine
from ..engines.errors import InputError
from .pack import Pack
from .text import Tokens, WordPiece, load_tokenizer

BACKENDS = ("onnxruntime", "null")


class Models:
    """Engines and tokenizers of a pack on one backend. Use it from one run at a time.

    loading : seconds spent so far on opening model files
    """

    def __init__(self, pack: Pack, *, backend: str = "onnxruntime",
                 providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None) -> None:
        if threads is not None and not 1 <= threads <= 1024:
            raise InputError("threads is out of range", received=str(threads), expected="1 to 1024")
        self.pack, self.backend, self.providers, self.threads = pack, backend, tuple(providers), threads
        self.loading = 0.0
        self._engines: dict[str, Engine] = {}
        self._tokenizers: dict[str, WordPiece] = {}
        self._unconditional: dict[str, np.ndarray] = {}
        self._lock = threading.RLock()

    def engine(self, kind: str) -> Engine:
        """The engine of a component, opened at the first call."""
        with self._lock:
            if kind not in self._engines:
                started = time.perf_counter()
                path = self.pack.path(self.pack.component(kind).file)
                self._engines[kind] = open_engine(path, backend=self.backend, providers=self.providers,
                                                  threads=self.threads)
                self.loading += time.perf_counter() - started
            return self._engines[kind]

    def run(self, kind: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """One evaluation of a component; tensors by name."""
        return self.engine(kind).run(inputs)

    def has(self, kind: str) -> bool:
        """Whether the pack holds such a component."""
        return any(c.kind == kind for c in self.pack.manifest.components.values())

    def prewarm(self, kinds: Iterable[str] | None = None) -> None:
        """Open the named components, or all, so that the first run does not wait for them."""
        for kind in kinds if kinds is not None else [c.kind for c in self.pack.manifest.components.values()]:
            self.engine(kind)

    def close(self) -> None:
        """Give everything back. A later use opens the files again."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
            self._unconditional.clear()

    def tokenizer(self, encoder: str) -> WordPiece:
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

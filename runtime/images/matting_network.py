"""U2-Net-p (Qin et al. 2020, arXiv 2005.09007): which pixels of a picture stand out.

The file lies beside this one; u2netp.md says where it comes from and under which licence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...engines import open_engine
from ...engines.errors import ModelFileError

FILE = Path(__file__).parent / "u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
# Of the pictures that it learnt from, after division by their brightest value.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
SCALE = np.array([0.229, 0.224, 0.225], np.float32)


class SaliencyNetwork:
    """The network, open."""

    def __init__(self, *, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None,
                 keep_scratch: bool = False) -> None:
        """providers, threads, keep_scratch : as of `open_engine`. Errors: ModelFileError if the file is missing or altered."""
        _verify(FILE)
        self._engine = open_engine(FILE, providers=providers, threads=threads, keep_scratch=keep_scratch)
        self._input, self._output = self._engine.spec.inputs[0], self._engine.spec.outputs[0]

    @property
    def size(self) -> int:
        """Sides of the square picture that it reads, in pixels."""
        return int(self._input.shape[2])

    def saliency(self, pixels: np.ndarray) -> np.ndarray:
        """(size, size) float32 in [0, 1]: how sure it is of each pixel of a picture (size, size, 3) uint8."""
        bright = pixels.astype(np.float32) / max(int(pixels.max()), 1)
        image = ((bright - MEAN) / SCALE).transpose(2, 0, 1)[None]
        return self._engine.run({self._input.name: np.ascontiguousarray(image)})[self._output.name][0, 0]

    def close(self) -> None:
        """Give the engine back."""
        self._engine.close()


def _verify(path: Path) -> None:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelFileError("the matting network cannot be read", received=f"{path}: {error.strerror}",
                             remedy="install meshwright again") from error
    if digest != SHA256:
        raise ModelFileError("the matting network was altered", received=f"{path} with SHA-256 {digest}", expected=SHA256,
                             remedy="install meshwright again")

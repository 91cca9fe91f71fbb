"""`Matting`: from a picture to the object in it, by its alpha, by a matte that is given, or by a network.

The network is U2-Net-p (Qin et al. 2020, arXiv 2005.09007). Its file lies beside this one; u2netp.md says where it comes from and
under which licence.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engines import open_engine
from ...engines.errors import InputError, ModelFileError
from .clean_matte import clean_matte
from .foreground import Foreground, alpha_of, check_matte, check_picture, has_real_alpha, is_flat, matte_from, require_object
from .pictures import Picture, downscaled, resized

# Longer side in pixels: no pack's network looks at a picture that closely.
MAX_SIDE = 1536
FILE = Path(__file__).parent / "u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
# Of the pictures that it learnt from, after division by their brightest value.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
SCALE = np.array([0.229, 0.224, 0.225], np.float32)


class Matting:
    """Finds the object in a picture. The network is opened when first needed, and kept. Not for two threads at once."""

    def __init__(self, *, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int | None = None,
                 keep_scratch: bool = False) -> None:
        """providers, threads, keep_scratch : of the network, as of `open_engine`."""
        self._options: dict[str, Any] = {"providers": tuple(providers), "threads": threads, "keep_scratch": keep_scratch}
        self._network: SaliencyNetwork | None = None

    def foreground(self, picture: Picture, matte: str | Picture = "auto") -> Foreground:
        """Cut the object out. A picture of more than `MAX_SIDE` pixels is made smaller first.

        matte : "auto" takes the picture's alpha if that is a real matte, else asks the network; "alpha" takes it
            in any case; "none" takes the picture as it is, background and all; a picture is the matte itself, white
            (or opaque) where the object is
        Errors: InputError for a matte that is unknown, missing or of another shape, and where there is no object.
        """
        started = time.perf_counter()
        check_matte(matte)
        check_picture(picture)
        picture = downscaled(picture, MAX_SIDE)
        found, source = self._matte(picture, matte)
        rgba = np.dstack([picture.pixels[..., :3], found])
        return Foreground(rgba, found, source, time.perf_counter() - started)

    def close(self) -> None:
        """Give the network back; a later use opens it again."""
        if self._network is not None:
            self._network.close()
            self._network = None

    def __enter__(self) -> Matting:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _matte(self, picture: Picture, matte: str | Picture) -> tuple[np.ndarray, str]:
        if matte == "none":
            return (picture.pixels[..., 3] if picture.pixels.shape[2] == 4 else np.full(picture.pixels.shape[:2], 255, np.uint8)), "none"
        if isinstance(matte, Picture):
            found, source, what = matte_from(matte, picture), "file", "a matte that is black nearly everywhere"
        elif matte == "alpha" or has_real_alpha(picture):
            found, source, what = alpha_of(picture), "alpha", "a picture that is transparent nearly everywhere"
        else:
            found, source, what = self._ask_network(picture), "network", "a picture without a salient object"
        require_object(found, what)
        return found, source

    def _ask_network(self, picture: Picture) -> np.ndarray:
        """(h, w) uint8. Alpha that is no real matte is left aside: the colours below it were meant to be seen."""
        if self._network is None:
            self._network = SaliencyNetwork(**self._options)
        size = self._network.size
        small = resized(picture.pixels[..., :3], size, size)
        if is_flat(small):
            raise InputError("the picture has no foreground", received="a picture that is all one colour",
                             expected="an object in front of a background")
        return resized(clean_matte(self._network.saliency(small)), picture.height, picture.width)


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
                             remedy="reinstall meshwright") from error
    if digest != SHA256:
        raise ModelFileError("the matting network has been modified", received=f"{path} with SHA-256 {digest}", expected=SHA256,
                             remedy="reinstall meshwright")

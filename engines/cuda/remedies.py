"""What the vendors' errors mean, and what to do: for a machine without driver, without a package, or without its libraries."""

from __future__ import annotations

import re

from ..errors import BackendUnavailable
from .driver import INSTALL

# Of a vendor's words beside what they mean: enough to search for.
MAX_LENGTH = 100
# For a disk that is full while an engine is built.
MAKE_ROOM = "make room, or set MESHWRIGHT_CACHE to a folder on another disk; the cache is unchanged"
# Looked for in this order in an error's type and message, as the vendors write them.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"DynamicLibNotFoundError|libcuda\.so|nvcuda\.dll|display driver is installed", "no NVIDIA driver was found", INSTALL),
    (r"cudaErrorInsufficientDriver|[Ee]rror:? 35\b|driver version is insufficient",
     "there is no NVIDIA driver, or it is older than CUDA 13", INSTALL),
    (r"cudaErrorNoDevice|[Ee]rror:? 100\b|no CUDA-capable device", "the driver sees no GPU",
     "check CUDA_VISIBLE_DEVICES; in a container, start it with the GPU passed in"),
    (r"No module named '?tensorrt_rtx_(libs|bindings)|libtensorrt_rtx|libtensorrt_onnxparser_rtx",
     "the libraries of TensorRT-RTX are missing", "pip install --force-reinstall tensorrt-rtx-cu13"),
    (r"No module named '?tensorrt_(libs|bindings)|libnvinfer|libnvonnxparser", "the libraries of TensorRT are missing",
     "pip install tensorrt-cu13-libs, which fetches them from NVIDIA's own package index"),
    (r"cannot import name 'bindings' from 'cuda'|No module named '?cuda\.bindings",
     "the package cuda-bindings, which cuda-core needs, is missing", "pip install cuda-bindings"),
    (r"lib(cudnn|cublas|cublasLt|cufft|curand|cudart|nvrtc|nvJitLink)|(cudnn|cublas|cufft|cudart)\w*\.dll",
     "libraries of CUDA are missing", "pip install 'onnxruntime-gpu[cuda,cudnn]'"),
    (r"no kernel image|cudaErrorNoKernelImageForDevice", "this build has no code for the GPU's compute capability",
     "install a release that lists the card"),
)


def explain(error: BaseException | str) -> tuple[str, str] | None:
    """(meaning, remedy) of a vendor's error, or None for one that is not known."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return next(((meaning, remedy) for pattern, meaning, remedy in KNOWN if re.search(pattern, text)), None)


def unavailable(subject: str, error: BaseException | str, install: str | None = None) -> BackendUnavailable:
    """Our error for a vendor's: what it means where that is known, else its own words and the line that installs the package."""
    known = explain(error)
    words = " ".join(str(error).split()) or type(error).__name__
    if known is None:
        return BackendUnavailable(subject, received=words, remedy=install)
    short = words if len(words) <= MAX_LENGTH else f"{words[:MAX_LENGTH]}..."
    return BackendUnavailable(f"{subject}: {known[0]}", received=short, remedy=known[1])

"""The vendors' words, as they came on machines without a driver or with a library missing, and what we say instead."""

import pytest

from meshwright.engines.cuda.remedies import KNOWN, MAX_LENGTH, explain, unavailable
from meshwright.engines.errors import BackendUnavailable

INSUFFICIENT = ("[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at /_src/common/dispatch/"
                "checkMacros.cpp:250 (cudaError 35: CUDA driver version is insufficient for CUDA runtime version))")
MAGIC = "Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed (2021161080 != 1953657974)."


@pytest.mark.parametrize(("words", "meaning", "remedy"), [
    ('DynamicLibNotFoundError: "cuda" is an NVIDIA driver library and can only be found via system search. Ensure the NVIDIA '
     "display driver is installed.", "no NVIDIA driver was found", "version 580 or newer"),
    ("libcuda.so.1: cannot open shared object file: No such file or directory", "no NVIDIA driver was found", "version 580"),
    (INSUFFICIENT, "there is no NVIDIA driver, or it is older than CUDA 13", "version 580"),
    ("(<cudaError_t.cudaErrorInsufficientDriver: 35>, None)", "there is no NVIDIA driver, or it is older", "version 580"),
    ("CUDA initialization failure with error: 35", "there is no NVIDIA driver, or it is older", "version 580"),
    ("CUDA failure 100: no CUDA-capable device is detected", "the driver sees no GPU", "CUDA_VISIBLE_DEVICES"),
    ("No module named 'tensorrt_libs'", "the libraries of TensorRT are missing", "pip install tensorrt-cu13-libs"),
    ("libnvinfer.so.11: cannot open shared object file", "the libraries of TensorRT are missing", "pip install tensorrt-cu13-libs"),
    ("No module named 'tensorrt_rtx_libs'", "the libraries of TensorRT-RTX are missing", "tensorrt-rtx-cu13"),
    ("libtensorrt_rtx.so.1: cannot open shared object file", "the libraries of TensorRT-RTX are missing", "tensorrt-rtx-cu13"),
    ("cannot import name 'bindings' from 'cuda' (unknown location)", "the package cuda-bindings", "pip install cuda-bindings"),
    ("libcudnn.so.9: cannot open shared object file", "libraries of CUDA are missing", "onnxruntime-gpu[cuda,cudnn]"),
    ("no kernel image is available for execution on the device", "this build has no code for", "install a release that lists"),
])
def test_known_words(words, meaning, remedy):
    found = explain(words)
    assert found[0].startswith(meaning) and remedy in found[1]


@pytest.mark.parametrize("words", ["", MAGIC, "error: 351", "error 1000", "the libraries are fine"])
def test_other_words_are_not_explained_away(words):
    assert explain(words) is None


def test_the_type_of_an_error_counts_too():
    class DynamicLibNotFoundError(RuntimeError):
        pass

    assert explain(DynamicLibNotFoundError("a library"))[0] == "no NVIDIA driver was found"
    assert explain(RuntimeError("a library")) is None


def test_our_error_has_meaning_words_and_remedy():
    error = unavailable("TensorRT does not start", INSUFFICIENT)
    assert isinstance(error, BackendUnavailable)
    assert str(error) == ("TensorRT does not start: there is no NVIDIA driver, or it is older than CUDA 13; received "
                          f"{INSUFFICIENT[:MAX_LENGTH]}...; {KNOWN[1][2]}")


def test_unknown_words_are_kept_whole_beside_the_install_line():
    assert str(unavailable("it does not load", ImportError("a\nb"), "pip install it")) == "it does not load; received a b; pip install it"
    assert str(unavailable("it does not load", ValueError())) == "it does not load; received ValueError"

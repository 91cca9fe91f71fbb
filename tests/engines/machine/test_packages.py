"""Trials of the vendors' packages: the one that is here, and simulated distributions that are broken in ways that packages are."""


import pytest

from meshwright.engines.machine import packages
from meshwright.engines.machine.packages import PACKAGES, Package, PackageProbe, licence_of
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines import models

RUNS, TENSORRT, RTX, CORE = PACKAGES
NO_DRIVER = '"cuda" is an NVIDIA driver library and can only be found via system search. Ensure the NVIDIA display driver is installed.'
WORKING_TENSORRT = """
__version__ = "11.4.0"
class ILogger:
    def __init__(self): pass
class Builder:
    def __init__(self, logger): BODY
"""
CORE_WITHOUT_DRIVER = f"""
__version__ = "1.2.2"
class DynamicLibNotFoundError(RuntimeError): pass
def Device(index): raise DynamicLibNotFoundError({NO_DRIVER!r})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution with one module on the path of this process and of those it starts."""

    def write(distribution, module, code, version="1.0", licence="License: Proprietary"):
        path = tmp_path / "site" / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        information = tmp_path / "site" / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{licence}\n")
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    return write


def test_onnxruntime_runs_a_model_here(tmp_path):
    found = PackageProbe(RUNS, models.loop(tmp_path / "loop.onnx")).end()
    assert found.installed and found.broken is None and found.providers["CPUExecutionProvider"] is None
    assert found.version == import_onnxruntime().__version__ and found.license


def test_onnxruntime_on_a_model_that_is_none(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    found = PackageProbe(RUNS, tmp_path / "bad.onnx").end()
    assert found.installed and "CPUExecutionProvider does not run; received bad.onnx did not load" in found.broken


def test_what_is_not_installed():
    absent = Package("absent", ("no-such-distribution",), "pip install it", "nothing")
    found = PackageProbe(absent).end()
    assert not found.installed and (found.version, found.broken, found.idle) == (None, None, None)


def test_missing_libraries(install):
    install("tensorrt-cu13", "tensorrt", "import tensorrt_libs")
    found = PackageProbe(TENSORRT).end()
    assert found.distributions == ("tensorrt-cu13",) and found.version == "1.0" and found.license == "Proprietary"
    assert found.broken == ("it cannot be imported: the libraries of TensorRT are missing; received No module named 'tensorrt_libs'; "
                            "pip install tensorrt-cu13-libs, which fetches them from NVIDIA's own package index")


def test_without_a_driver(install):
    install("tensorrt", "tensorrt", WORKING_TENSORRT.replace("BODY", 'raise TypeError("CUDA initialization failure with error: 35")'))
    found = PackageProbe(TENSORRT).end()
    assert found.version == "11.4.0" and found.broken is None
    assert found.idle.startswith("tensorrt cannot build engines here: there is no NVIDIA driver, or it is older than CUDA 13; received")


def test_cuda_core_without_a_driver(install):
    install("cuda-core", "cuda.core", CORE_WITHOUT_DRIVER)
    found = PackageProbe(CORE).end()
    assert found.version == "1.2.2" and found.broken is None
    assert found.idle.startswith('it sees no GPU: no NVIDIA driver was found; received DynamicLibNotFoundError: "cuda" is')


def test_one_that_works(install):
    install("tensorrt", "tensorrt", WORKING_TENSORRT.replace("BODY", "print('to standard output')"), licence="License-Expression: MIT")
    found = PackageProbe(TENSORRT).end()
    assert (found.version, found.license, found.broken, found.idle) == ("11.4.0", "MIT", None, None)


@pytest.mark.parametrize(("code", "said"), [
    ("import os; os.abort()", "the process that loads it ended with -"),
    ("import os, sys; print('out of\\nluck', file=sys.stderr, flush=True); os._exit(3)", "ended with 3; its output: out of luck"),
    ("import os; os._exit(0)", "ended with 0; its output: none"),
    ("raise ImportError", "it cannot be imported; received ImportError"),
    ("1 +", "it cannot be imported; received invalid syntax"),
])
def test_one_that_ends_the_process_ends_only_its_own(install, code, said):
    install("tensorrt-rtx", "tensorrt_rtx", code)
    assert said in PackageProbe(RTX).end().broken


def test_one_that_does_not_end(install, monkeypatch):
    monkeypatch.setattr(packages, "SECONDS", 2)
    install("tensorrt", "tensorrt", "import time; time.sleep(60)")
    assert PackageProbe(TENSORRT).end().broken == "it did not load within 2 seconds"


def test_a_trial_that_nobody_waits_for(install):
    install("tensorrt", "tensorrt", "import time; time.sleep(60)")
    trial = PackageProbe(TENSORRT)
    trial.stop()
    assert trial._process.returncode not in (None, 0)


def test_a_licence_that_is_a_whole_text_is_left_out(install):
    install("cuda-core", "cuda.core", "", licence="License: " + "word " * 40)
    assert licence_of(packages.distribution("cuda-core")) is None


def test_files_in_the_working_folder_are_not_taken_for_packages(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    assert PackageProbe(RUNS).end().version == import_onnxruntime().__version__

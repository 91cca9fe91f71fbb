"""Which product is used, and what is said where it is not there."""

from dataclasses import replace

import pytest

from meshwright.engines.errors import BackendUnavailable
from meshwright.engines.machine import products as tensorrt_products
from meshwright.engines.machine.products import PRODUCTS, Product, choose
from tests.engines.engines_on_disk import NO_GPU, machine

ABSENT = Product("tensorrt", "no_such_tensorrt", ("no-such-tensorrt",), "pip install it")


def test_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(BackendUnavailable, match="there is no backend 'abacus' that builds engines; expected tensorrt or tensorrt-rtx"):
        choose("abacus")


def test_a_missing_package_says_how_to_get_it():
    with pytest.raises(BackendUnavailable, match="the package no_such_tensorrt is not installed; pip install it"):
        ABSENT.load()


def test_nothing_installed_names_both_lines(monkeypatch):
    monkeypatch.setattr(tensorrt_products, "PRODUCTS", (ABSENT, Product("tensorrt-rtx", "nor_this", ("nor-this",), "or that")))
    with pytest.raises(BackendUnavailable, match="neither TensorRT nor TensorRT-RTX is installed; or that or pip install it"):
        choose()


def test_what_is_installed_is_used(monkeypatch):
    there = Product("tensorrt-rtx", "json", ("numpy",), "")
    monkeypatch.setattr(tensorrt_products, "PRODUCTS", (ABSENT, there))
    assert choose() is there and choose("tensorrt") is ABSENT
    assert there.version() == tensorrt_products.version("numpy")


def test_libraries_that_are_missing_are_named(tmp_path, monkeypatch):
    """The bindings without the libraries, as a stub package leaves them."""
    (tmp_path / "half_tensorrt.py").write_text("raise ImportError('libnvinfer.so.11: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailable) as caught:
        Product("tensorrt", "half_tensorrt", (), "").load()
    assert "half_tensorrt cannot be imported: the libraries of TensorRT are missing" in str(caught.value)
    assert "tensorrt-cu13-libs" in caught.value.remedy


def test_why_it_runs_nothing_here(monkeypatch):
    there = Product("tensorrt-rtx", "json", ("numpy",), "")
    monkeypatch.setattr(tensorrt_products, "_has", lambda distribution: True)
    assert ABSENT.unavailable_reason(machine()) == "tensorrt is not installed"
    assert there.unavailable_reason(NO_GPU) == "tensorrt-rtx has no GPU to run engines on" and there.unavailable_reason(machine()) is None
    monkeypatch.setattr(tensorrt_products, "_has", lambda distribution: False)
    assert there.unavailable_reason(machine()) == ("the package cuda-core, which tensorrt-rtx needs, is not installed: "
                                         "pip install cuda-core cuda-bindings")


def test_cards_that_are_not_listed():
    tensorrt, rtx = PRODUCTS
    assert rtx.unsupported_reason(machine(capability="8.9")) is None and tensorrt.unsupported_reason(machine(capability="9.0")) is None
    assert rtx.unsupported_reason(machine(capability="9.0")) == "compute capability 9.0 is not among those it lists: use tensorrt"
    assert rtx.unsupported_reason(NO_GPU) is None and rtx.unsupported_reason(machine(capability=None)) is None


def test_engines_run_on_the_first_card():
    listed, other = machine(capability="8.9"), machine(capability="9.0")
    first, second = (replace(other, gpus=gpus) for gpus in (other.gpus + listed.gpus, listed.gpus + other.gpus))
    assert PRODUCTS[1].unsupported_reason(first).startswith("compute capability 9.0") and PRODUCTS[1].unsupported_reason(second) is None

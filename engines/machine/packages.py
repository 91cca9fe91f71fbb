"""The vendors' packages that backends need: which are installed, whether they work, and the line that installs the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .child import start_child
from .products import PRODUCTS

# Of one trial, most of it spent on reading libraries from a cold disk.
SECONDS = 60
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Package:
    """name : as `probe` knows it. distributions : that bring it, any one. gives : what a backend gets from it."""

    name: str
    distributions: tuple[str, ...]
    install: str
    gives: str


@dataclass(frozen=True)
class PackageStatus:
    """A package on this machine.

    version : None where it is not installed
    broken : why an installed one does not work; idle : why one that works has nothing to do here, such as no GPU
    providers : of ONNX Runtime, and for each why it does not run here, or None
    """

    package: Package
    distributions: tuple[str, ...] = ()
    version: str | None = None
    license: str | None = None
    broken: str | None = None
    idle: str | None = None
    providers: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        return bool(self.distributions)


PACKAGES = (
    Package("onnxruntime", ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-rocm"),
            "pip install onnxruntime", "runs every pack, on the CPU without further packages"),
    *(Package(product.module, product.distributions, product.install, product.gives) for product in PRODUCTS),
    Package("cuda-core", ("cuda-core",), "pip install cuda-core cuda-bindings", "device memory and CUDA graphs, for TensorRT"),
)


class PackageProbe:
    """The trial of one package, under way in a process of its own from the start."""

    def __init__(self, package: Package, model: Path | None = None) -> None:
        """model : a small model file, for ONNX Runtime to run."""
        self.package = package
        self._found = [each for each in map(_distribution, package.distributions) if each is not None]
        command = [sys.executable, "-P", "-m", "meshwright.engines.probe", str(os.getpid()), package.name,
                   *([str(model)] if model else [])]
        self._process = start_child(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, errors="replace") if self._found else None

    def end(self) -> PackageStatus:
        """Wait for it. Never raises for what the package does."""
        if self._process is None:
            return PackageStatus(self.package)
        said = self._answer(self._process)
        first = self._found[0]
        return PackageStatus(self.package, tuple(each.name for each in self._found), said.get("version") or first.version,
                     licence_of(first), said.get("broken"), said.get("idle"), said.get("providers", NOTHING))

    def stop(self) -> None:
        """End a trial that nobody waits for any more."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        try:
            out, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return {"broken": f"it did not load within {SECONDS} seconds"}
        try:
            return json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):  # it died on the way: a signal, or a library that ends the process
            last = " ".join(said.split())[-200:]
            return {"broken": f"the process that loads it ended with {process.returncode}; its output: {last or 'none'}"}


def licence_of(found: Distribution) -> str | None:
    """What a package says of its licence, if that is short."""
    said: Any = found.metadata  # a Message, whose type leaves `get` out before Python 3.12
    text = said.get("License-Expression") or said.get("License") or ""
    return text if 0 < len(text) <= 60 and "\n" not in text else None


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None

"""The two products that build TensorRT engines, behind one Python API."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

from ..cuda.remedies import unavailable
from ..errors import BackendUnavailable
from .hardware import Hardware


@dataclass(frozen=True)
class Product:
    """name : as the user says it. module : of Python. distributions : that bring the module, any one. gives : what it is for.

    capabilities : compute capabilities that it lists; none listed means all
    is_portable : its engines run on other cards than the one, if any, that they were built on, on any system and driver; whether one
        is valid, the product itself says
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    install: str
    gives: str = ""
    capabilities: tuple[str, ...] = ()
    is_portable: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the module is there; whether it loads is another matter."""
        return find_spec(self.module) is not None

    def unavailable_reason(self, hardware: Hardware) -> str | None:
        """Why it runs no engines on this machine; None where it should."""
        if not self.is_installed:
            return f"{self.name} is not installed"
        if not hardware.gpus:
            return f"{self.name} has no GPU to run engines on"
        if not (_has("cuda-core") and _has("cuda-bindings")):
            return f"the package cuda-core, which {self.name} needs, is not installed: pip install cuda-core cuda-bindings"
        return None

    def unsupported_reason(self, hardware: Hardware) -> str | None:
        """Why it is not for this machine's first card, which engines run on, though it may be tried; None where it is listed,
        or does not tell its compute capability."""
        capability = hardware.gpus[0].compute_capability if hardware.gpus else None
        if not self.capabilities or capability is None or capability in self.capabilities:
            return None
        return f"compute capability {capability} is not among those it lists: use {PRODUCTS[0].name}"

    def load(self) -> ModuleType:
        """Import it. BackendUnavailable where the package or one of its libraries is missing."""
        if not self.is_installed:
            raise BackendUnavailable(f"the package {self.module} is not installed", remedy=self.install)
        try:
            return import_module(self.module)
        except Exception as error:  # besides ImportError the vendor's loaders raise OSError and RuntimeError
            raise unavailable(f"the package {self.module} cannot be imported", error, self.install) from error

    def version(self) -> str:
        """Of the installed package, without importing it."""
        for name in self.distributions:
            try:
                return version(name)
            except ImportError:
                continue
        return str(self.load().__version__)


PRODUCTS = (
    Product("tensorrt", "tensorrt", ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), "pip install tensorrt-cu13 cuda-core cuda-bindings",
            "FP16 engines for data-centre and workstation cards"),
    Product("tensorrt-rtx", "tensorrt_rtx", ("tensorrt-rtx", "tensorrt-rtx-cu13"), "pip install 'meshwright[tensorrt]'",
            "FP16 engines for RTX cards", capabilities=("7.5", "8.0", "8.6", "8.9", "12.0", "12.1"), is_portable=True),
)
NAMES = tuple(product.name for product in PRODUCTS)


def _has(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def choose(name: str | None = None) -> Product:
    """The product of that name, or the first one that is installed. BackendUnavailable names the known ones."""
    if name is None:
        installed = [product for product in PRODUCTS if product.is_installed]
        if not installed:
            raise BackendUnavailable("neither TensorRT nor TensorRT-RTX is installed",
                                     remedy=" or ".join(product.install for product in reversed(PRODUCTS)))
        return installed[0]
    found = next((product for product in PRODUCTS if product.name == name), None)
    if found is None:
        raise BackendUnavailable(f"there is no backend {name!r} that builds engines", expected=" or ".join(NAMES))
    return found

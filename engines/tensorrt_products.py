"""The two products that build TensorRT engines, behind one Python API."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

from .errors import BackendUnavailable
from .remedies import unavailable


@dataclass(frozen=True)
class Product:
    """name : as the user says it. module : of Python. distributions : that bring the module, any one. gives : what it is for."""

    name: str
    module: str
    distributions: tuple[str, ...]
    install: str
    gives: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether the module is there; whether it loads is another matter."""
        return find_spec(self.module) is not None

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
    Product("tensorrt", "tensorrt", ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), "pip install tensorrt-cu13 cuda-core",
            "FP16 engines for data-centre and workstation cards"),
    Product("tensorrt-rtx", "tensorrt_rtx", ("tensorrt-rtx", "tensorrt-rtx-cu13"), "pip install 'meshwright[tensorrt]'",
            "FP16 engines for RTX cards"),
)
NAMES = tuple(product.name for product in PRODUCTS)


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

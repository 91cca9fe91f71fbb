"""What a component can run on, on this machine, best first, and why better ones are not among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...engines.errors import MeshwrightError
from ..pack.manifest import Component
from ..pack.pack import Pack, find

if TYPE_CHECKING:
    from ...engines.cache.cache import Entry
    from ...engines.cache.golden_result import GoldenResult
    from ...engines.machine.hardware import Hardware
    from ...engines.machine.products import Product
    from .pack_engines import PackEngines

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True)
class Candidate:
    """backend : as `open_engine` knows it. providers : of ONNX Runtime, in order of preference. entry : TensorRT's engine.

    golden_result : what the golden inputs said of that engine, None where they have not been replayed on it
    """

    backend: str
    providers: tuple[str, ...] = ()
    entry: Entry | None = None
    golden_result: GoldenResult | None = None

    def __str__(self) -> str:
        return f"{self.backend} ({self.providers[0]})" if self.providers else self.backend


@dataclass(frozen=True)
class Rejected:
    """A backend that a component cannot run on.

    cause : "machine" (it runs nothing here), "unbuilt" (it has no engine that fits) or "off" (its engine is out of tolerance)
    """

    backend: str
    cause: str
    why: str


@dataclass(frozen=True)
class Machine:
    """What runs models on this machine.

    products : TensorRT's, in order of preference, each with why it runs no engines here, or None where it should
    cuda : why ONNX Runtime does not run on a GPU here; None where it should
    """

    hardware: Hardware
    products: Mapping[Product, str | None]
    cuda: str | None

    @classmethod
    def of(cls, hardware: Hardware) -> Machine:
        """What can be told without loading a vendor's package: the rest shows when a model is opened."""
        from ...engines.machine.products import PRODUCTS

        return cls(hardware, {product: product.not_here(hardware) for product in PRODUCTS}, hardware.no_gpu)


class Candidates:
    """How the components of one pack can run on one machine.

    wanted : "auto" for the best there is, or a backend. A product that lists other cards than this machine's is left out
        of "auto"; asked for by name it is tried.
    """

    def __init__(self, pack: Pack, machine: Machine, wanted: str = "auto") -> None:
        self.pack, self.machine, self.wanted = pack, machine, wanted

    def of(self, component: Component, *, check: Callable[[Entry], bool] = lambda entry: True) -> tuple[list[Candidate], list[Rejected]]:
        """The candidates, best first and never none; and what would be better, but cannot be used.

        check : whether an engine's bytes are to be compared with its hash, which takes long for a large one
        """
        candidates: list[Candidate] = []
        rejected: list[Rejected] = []
        for product in self.machine.products:
            if self.wanted in ("auto", product.name):
                found = self._engine(product, component, check)
                if isinstance(found, Candidate):
                    candidates.append(found)
                else:
                    rejected.append(found)
        if self.machine.cuda is None:
            candidates.append(Candidate("onnxruntime", (CUDA, CPU)))
        else:
            rejected.append(Rejected("onnxruntime", "machine", self.machine.cuda))
        return [*candidates, Candidate("onnxruntime", (CPU,))], rejected

    def how_to_build(self, backend: str) -> str:
        """The command that builds what is missing."""
        name = _name(self.pack)
        quoted = f'"{name}"' if " " in name else name
        return f"meshwright build {quoted} --backend {backend}"

    @cached_property
    def engines(self) -> PackEngines:
        """The built engines. OutputError as `PackEngines`."""
        from .pack_engines import PackEngines

        return PackEngines(self.pack, self.machine.hardware)

    def _engine(self, product: Product, component: Component, check: Callable[[Entry], bool]) -> Candidate | Rejected:
        why = self.machine.products[product]
        if why is None and self.wanted == "auto":
            why = product.not_listed(self.machine.hardware)
        if why is not None:
            return Rejected(product.name, "machine", why)
        try:
            entry, why = self.engines.find(product, component, check)
        except MeshwrightError as error:  # a cache that cannot be read, an axis without a range
            return Rejected(product.name, "unbuilt", str(error))
        if entry is None:
            return Rejected(product.name, "unbuilt", why)
        golden_result = self.engines.golden_result(entry, component)
        if golden_result is not None and not golden_result.passed:
            return Rejected(product.name, "off", failure_message(golden_result))
        return Candidate(product.name, entry=entry, golden_result=golden_result)


def failure_message(golden_result: GoldenResult) -> str:
    """Why an engine with that golden result is not used."""
    return f"its results differ from the golden outputs by more than the tolerance: {golden_result}"


def _name(pack: Pack) -> str:
    """What finds this pack again: its name, or its folder."""
    try:
        return pack.folder.name if find(pack.folder.name).samefile(pack.folder) else str(pack.folder)
    except (MeshwrightError, OSError):
        return str(pack.folder)

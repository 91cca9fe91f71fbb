"""What a component can run on, on this machine, or why it cannot: the values that a `BackendSelector` works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...engines.cache.cache import Entry
    from ...engines.cache.record import GoldenResult
    from ...engines.machine.hardware import Hardware
    from ...engines.machine.products import Product

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

    cause : "unavailable" (it runs nothing here), "not built" (it has no engine that fits) or "inaccurate" (its engine is out of tolerance)
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

        return cls(hardware, {product: product.unavailable_reason(hardware) for product in PRODUCTS}, hardware.no_gpu)


def failure_message(golden_result: GoldenResult) -> str:
    """Why an engine with that golden result is not used."""
    return f"its results differ from the golden outputs by more than the tolerance: {golden_result}"

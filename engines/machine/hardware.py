"""What this machine is: processor, memory, GPUs, driver. What cannot be told says why not; nothing here raises.

    detect_hardware().gpus[0].compute_capability    "9.0", or None, and then detect_hardware().gpus[0].why_not["compute_capability"]
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cuda.driver import Driver
from ..cuda.nvml import Nvml
from .memory import available_bytes, total_bytes

# The packages of CUDA 13, which all our backends for NVIDIA cards come with, need a driver that runs it.
NEEDED_CUDA = (13, 0)


@dataclass(frozen=True)
class Host:
    """cores : those that this process may use. total_bytes, available_bytes : of memory, a container's limit counted."""

    system: str
    processor: str | None
    cores: int | None
    total_bytes: int | None
    available_bytes: int | None
    why_not: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gpu:
    """One card. compute_capability : "9.0", say. free_bytes : of the first one, beside the context that every CUDA program needs."""

    index: int
    name: str | None
    compute_capability: str | None
    total_bytes: int | None
    free_bytes: int | None
    why_not: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hardware:
    """driver : version, "580.65.06" say; cuda : the newest CUDA that it runs, "13.0" say.

    no_gpu : why there is none, with what to do about it; None where there is one
    """

    host: Host
    gpus: tuple[Gpu, ...]
    driver: str | None
    cuda: str | None
    no_gpu: str | None
    why_not: Mapping[str, str] = field(default_factory=dict)

    @property
    def old_driver(self) -> str | None:
        """What is wrong with a driver that cannot run CUDA 13; None for one that can, or none at all."""
        if self.cuda is None or tuple(map(int, self.cuda.split("."))) >= NEEDED_CUDA:
            return None
        return (f"the driver runs CUDA {self.cuda} at most; the packages for NVIDIA cards are built for CUDA "
                f"{'.'.join(map(str, NEEDED_CUDA))}: install driver 580 or newer")


class _Facts:
    """Asks one question at a time and keeps the answer, or why there is none."""

    def __init__(self) -> None:
        self.why_not: dict[str, str] = {}

    def query(self, name: str, question: Callable[[], Any]) -> Any:
        try:
            answer = question()
        except Exception as error:  # a fact less is no reason to stop, whatever a driver or a system does
            self.why_not[name] = " ".join(str(error).split()) or type(error).__name__
            return None
        if answer is None:
            self.why_not[name] = "this system does not say"
        return answer


def detect_hardware() -> Hardware:
    """Ask the system and the driver, now."""
    facts = _Facts()
    driver = facts.query("gpus", Driver)
    count = facts.query("gpus", driver.count) if driver else 0
    cuda = facts.query("cuda", lambda: _dotted(driver.cuda_version())) if driver else None
    version = facts.query("driver", lambda: Nvml().driver_version())
    no_gpu = facts.why_not.pop("gpus", None)
    if no_gpu is not None and driver is None:  # one reason for both, told once
        facts.why_not["cuda"] = "no driver answers"
    gpus = tuple(_detect_gpu(driver, index) for index in range(count or 0))
    return Hardware(_detect_host(), gpus, version, cuda, no_gpu if no_gpu or gpus else "the driver sees no GPU", facts.why_not)


def gpu_environments() -> tuple[Mapping[str, str], ...]:
    """For each GPU that this process may use, what to add to the environment of another one so that it sees this GPU alone.

    ({},) where there is one GPU or none. Read before CUDA is: an environment that is changed later changes nothing.
    """
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    try:
        count = Driver().count()
    except Exception:  # no driver, or one that does not start: nothing to be shared out
        count = 0
    if count < 2:
        return ({},)
    return tuple({"CUDA_VISIBLE_DEVICES": visible[index] if index < len(visible) else str(index)} for index in range(count))


def _detect_gpu(driver: Driver, index: int) -> Gpu:
    """One card."""
    facts = _Facts()
    return Gpu(index, facts.query("name", lambda: driver.name(index)),
               facts.query("compute_capability", lambda: _dotted(driver.compute_capability(index))),
               facts.query("total_bytes", lambda: driver.total_bytes(index)),
               facts.query("free_bytes", lambda: free_bytes(driver, index)), facts.why_not)


def free_bytes(driver: Driver, index: int) -> int:
    """What is free of a card's memory. Only of the first one, which is the one that is used, a context is made for the question."""
    return driver.free_bytes(index) if index == 0 else Nvml().free_bytes(driver.pci_bus(index))


def _detect_host() -> Host:
    """The processor and its memory."""
    facts = _Facts()
    return Host(f"{platform.system()} {platform.machine()}", facts.query("processor", processor), facts.query("cores", cores),
                facts.query("total_bytes", total_bytes), facts.query("available_bytes", available_bytes), facts.why_not)


def processor() -> str | None:
    """The processor's name, where the system has one for it."""
    if platform.system() == "Linux":
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(named, None) or platform.processor() or None
    return platform.processor() or None


def cores() -> int | None:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))

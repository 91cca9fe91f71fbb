"""Facts about the machine: those of this one, and those that a simulated driver gives or refuses."""

import os
import sys

import pytest

from meshwright.engines.cuda.driver import Driver
from meshwright.engines.cuda.nvml import Nvml
from meshwright.engines.machine import hardware
from meshwright.engines.machine.hardware import Host, _detect_host, detect_hardware, gpu_environments
from tests.engines.simulated_driver import Card, SimulatedDriver, SimulatedNvml


@pytest.fixture
def simulated(monkeypatch):
    """A machine with these cards."""

    def install(*cards, nvml=0, contexts=None, **driver):
        simulated = SimulatedDriver(*cards, **driver)
        monkeypatch.setattr(hardware, "Driver", lambda: Driver(simulated))
        monkeypatch.setattr(hardware, "Nvml", lambda: Nvml(SimulatedNvml(*cards, init=nvml)))
        found = detect_hardware()
        assert simulated.held == 0 and (contexts is None or simulated.contexts == contexts)
        return found

    return install


def test_this_machine():
    host = _detect_host()
    assert host.processor and 1 <= host.cores <= os.cpu_count()
    if sys.platform == "linux":
        assert 1 << 28 < host.available_bytes <= host.total_bytes and host.why_not == {}


def test_there_are_gpus_or_a_reason():
    found = detect_hardware()
    assert bool(found.gpus) == (found.no_gpu is None)
    for gpu in found.gpus:
        assert gpu.compute_capability or gpu.why_not["compute_capability"]


def test_cards_and_driver(simulated):
    found = simulated(Card(), Card("NVIDIA H200", (9, 0), free=7 << 30), contexts=[0])
    assert [gpu.name for gpu in found.gpus] == ["Simulated GPU", "NVIDIA H200"]
    assert found.gpus[1].compute_capability == "9.0" and [gpu.free_bytes for gpu in found.gpus] == [20 << 30, 7 << 30]
    assert (found.driver, found.cuda, found.no_gpu, found.old_driver) == ("580.65.06", "13.0", None, None)


def test_a_fact_less_is_told_and_stops_nothing(simulated):
    found = simulated(Card(no_context=2), Card())
    assert found.gpus[0].free_bytes is None and "the GPU's memory is full" in found.gpus[0].why_not["free_bytes"]
    assert found.gpus[0].total_bytes == 24 << 30 and found.gpus[1].free_bytes == 20 << 30

    found = simulated(Card(), Card(), nvml=9)
    assert found.driver is None and found.why_not == {"driver": "NVML did not start; received NVML error 9"}
    assert found.gpus[0].free_bytes == 20 << 30 and found.gpus[1].why_not == {"free_bytes": "NVML did not start; received NVML error 9"}


def test_a_driver_without_a_card(simulated):
    found = simulated(init=100)
    assert found.gpus == () and found.no_gpu.startswith("NVIDIA's driver did not start; received CUDA error 100")
    assert simulated().no_gpu == "the driver sees no GPU"


def test_an_old_driver(simulated):
    assert simulated(Card(), cuda=12040).old_driver == (
        "the driver runs CUDA 12.4 at most; the packages for NVIDIA cards are built for CUDA 13.0: install driver 580 or newer")
    assert simulated(Card(), cuda=13010).old_driver is None


def test_a_question_that_goes_wrong(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(hardware, "total_bytes", broken)
    monkeypatch.setattr(hardware, "available_bytes", lambda: None)
    host = _detect_host()
    assert isinstance(host, Host) and host.total_bytes is None
    assert host.why_not == {"total_bytes": "ZeroDivisionError", "available_bytes": "this system does not say"}


@pytest.mark.parametrize(("cards", "visible", "seen"), [
    (0, None, [None]), (1, None, [None]), (1, "3", [None]), (2, None, ["0", "1"]), (2, "2, GPU-7a", ["2", "GPU-7a"])])
def test_processes_get_a_gpu_each(cards, visible, seen, monkeypatch):
    """Those of the cards that CUDA_VISIBLE_DEVICES leaves, by the names that it has for them."""
    monkeypatch.setattr(hardware, "Driver", lambda: Driver(SimulatedDriver(*[Card()] * cards) if cards else SimulatedDriver(init=100)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [environment.get("CUDA_VISIBLE_DEVICES") for environment in gpu_environments()] == seen

"""What the driver says about GPUs: on a simulated driver, because tests cannot count on a real one, and without any."""

import ctypes.util

import pytest

from meshwright.engines.cuda.driver import DRIVER, STATUSES, Driver, check, load
from meshwright.engines.errors import BackendUnavailable
from tests.engines.simulated_driver import Card, SimulatedDriver

WITHOUT_DRIVER = pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="this machine has a driver")


def test_a_card_is_described():
    library = SimulatedDriver(Card(), Card("NVIDIA H200", (9, 0), 150 << 30, 149 << 30))
    driver = Driver(library)
    assert driver.count() == 2 and driver.cuda_version() == (13, 0)
    assert driver.name(1) == "NVIDIA H200" and driver.compute_capability(1) == (9, 0)
    assert driver.total_bytes(1) == 150 << 30 and driver.free_bytes(1) == 149 << 30
    assert driver.free_bytes(0) == 20 << 30 and driver.pci_bus(1) == "0000:01:00.0"
    assert library.held == 0


def test_versions_are_read_as_cuda_writes_them():
    assert Driver(SimulatedDriver(Card(), cuda=12080)).cuda_version() == (12, 8)


@pytest.mark.parametrize(("status", "said"), [
    (100, "NVIDIA's driver did not start; received CUDA error 100: the driver sees no GPU; check CUDA_VISIBLE_DEVICES"),
    (803, "the driver library and the kernel module are of different versions; restart the machine"),
    (34, "a stub of the driver library was loaded; take the CUDA toolkit's folder of stubs out of the library path"),
    (4711, "NVIDIA's driver did not start; received CUDA error 4711"),
])
def test_a_driver_that_does_not_start(status, said):
    with pytest.raises(BackendUnavailable) as caught:
        Driver(SimulatedDriver(init=status))
    assert said in str(caught.value)


def test_a_card_without_room_for_a_context():
    library = SimulatedDriver(Card(no_context=2))
    with pytest.raises(BackendUnavailable, match="CUDA error 2: the GPU's memory is full; close what else uses the GPU"):
        Driver(library).free_bytes(0)
    assert library.held == 0


def test_a_number_that_no_card_has():
    with pytest.raises(BackendUnavailable, match="GPU 3; received CUDA error 101: there is no GPU of that number"):
        Driver(SimulatedDriver(Card())).name(3)


@WITHOUT_DRIVER
def test_no_driver():
    with pytest.raises(BackendUnavailable, match="no NVIDIA driver was found; received .*; install NVIDIA's driver, version 580"):
        Driver()


def test_a_library_that_is_none(tmp_path):
    (tmp_path / DRIVER).write_text("not a library")
    with pytest.raises(BackendUnavailable, match="no NVIDIA driver was found; received .*"):
        load(str(tmp_path / DRIVER))


def test_every_status_has_a_meaning_and_a_remedy():
    check(0, "all is well")
    for status, (meaning, remedy) in STATUSES.items():
        with pytest.raises(BackendUnavailable) as caught:
            check(status, "a question")
        assert str(caught.value) == f"a question; received CUDA error {status}: {meaning}; {remedy}"

"""The pool of GPU memory: what it reuses, what it counts, and what it does when there is too little."""

import threading

import numpy as np
import pytest

from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.errors import BackendError, DeviceLost, EngineError
from tests.engines.simulated_cuda import SimulatedCuda


@pytest.fixture
def memory():
    return DeviceMemory(SimulatedCuda(total=1 << 20))


def test_an_array_there_and_back(memory):
    values = np.arange(12, dtype=np.float16).reshape(3, 4)
    for given in (values, np.asfortranarray(values), values.reshape(3, 4, 1)[:, :, 0]):
        array = memory.upload(given)
        assert (array.shape, array.dtype, array.nbytes, array.ndim) == ((3, 4), np.float16, 24, 2)
        np.testing.assert_array_equal(array.numpy(), values)
    scalar = memory.upload(np.array(7))
    assert scalar.shape == () and scalar.numpy() == 7 and memory.upload(np.empty((0, 3))).numpy().shape == (0, 3)


def test_what_is_dropped_or_closed_is_used_again(memory):
    first = memory.empty((100,), "float32")
    address = first.address
    del first
    second = memory.empty((90,), "float32")
    assert second.address == address
    second.close()
    second.close()
    assert memory.empty((10,), "uint8").address == address
    assert memory.cuda.names().count("allocate") == 1
    with pytest.raises(EngineError, match="the device array is closed"):
        second.numpy()


def test_two_arrays_never_share_memory(memory):
    rng = np.random.default_rng(0)
    held = {}
    for i in range(300):
        size = int(rng.integers(1, 3000))
        values = rng.integers(0, 256, size).astype(np.uint8)
        held[i] = memory.upload(values), values
        if len(held) > 5:
            held.pop(int(rng.choice(list(held))))
        for array, expected in held.values():
            np.testing.assert_array_equal(array.numpy(), expected)
    assert memory.held_bytes < 100_000


def test_a_block_that_is_much_too_large_is_left_for_others(memory):
    memory.empty((100_000,), "uint8").close()
    memory.empty((1000,), "uint8")
    assert memory.cuda.names().count("allocate") == 2


def test_the_peak(memory):
    assert memory.peak_bytes == memory.held_bytes == 0
    memory.empty((1 << 16,), "uint8").close()
    assert memory.held_bytes == memory.peak_bytes == 1 << 16
    memory.trim()
    assert memory.held_bytes == 0 and memory.peak_bytes == 1 << 16
    memory.reset_peak()
    kept = memory.empty((1 << 10,), "uint8")
    memory.count_weights(5000)
    assert memory.peak_bytes == memory.held_bytes == 5000 + 1024
    memory.count_weights(-5000)
    memory.trim()  # takes nothing that is in use
    assert memory.held_bytes == kept.nbytes == 1024


def test_blocks_that_lie_free_make_room(memory):
    memory.empty((600_000,), "uint8").close()
    memory.empty((100_000,), "uint8").close()
    large = memory.empty((900_000,), "uint8")
    assert memory.cuda.names()[-4:] == ["synchronise", "free", "free", "allocate"] and memory.held_bytes < 1_050_000
    with pytest.raises(BackendError, match="524,288 bytes of GPU memory could not be allocated; received CUDA_ERROR_OUT_OF_MEMORY"):
        memory.empty((500_000,), "uint8")
    large.close()
    memory.empty((500_000,), "uint8")


def test_blocks_are_at_most_an_eighth_larger_than_asked_for(memory):
    for size in (1, 511, 512, 513, 5000, 65_537, 200_001):
        block = memory.allocate_block(size)
        assert size <= block.size <= max(512, size + max(512, size / 8)), size
        memory.release(block)
        memory.trim()


def test_a_lost_gpu_is_not_asked_again(memory):
    memory.empty((100,), "uint8").close()
    memory.cuda.breaks = True
    memory.cuda.refuses.add("allocate")
    with pytest.raises(DeviceLost):
        memory.empty((100_000,), "uint8")
    assert memory.cuda.names().count("allocate") == 2


def test_closing(memory):
    kept = memory.empty((100,), "uint8")
    memory.close()
    memory.close()
    assert memory.held_bytes == 0 and not memory.cuda.blocks
    assert memory.cuda.names()[-3:] == ["synchronise", "free", "close"]  # the stream goes too, once nothing uses it
    assert memory.cuda.names().count("close") == 1
    with pytest.raises(EngineError, match="the device array is closed"):
        kept.numpy()
    kept.close()
    with pytest.raises(EngineError, match="the device memory is closed"):
        memory.empty((1,), "uint8")


def test_arrays_may_be_dropped_on_any_thread(memory):
    def work():
        for _ in range(200):
            memory.empty((1000,), "uint8").close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.held_bytes <= 4 * 1024


def test_no_more_is_taken_than_may_be():
    cuda = SimulatedCuda()
    memory = DeviceMemory(cuda, 4096)
    kept = memory.empty((1024,), np.uint8)
    memory.empty((2048,), np.uint8).close()
    memory.count_weights(1024)
    other = memory.empty((512,), np.uint8)  # for which the block that lies free goes
    with pytest.raises(BackendError, match="received 2,560 bytes in use; expected at most 4,096"):
        memory.empty((2048,), np.uint8)
    assert memory.peak_bytes == 4096 and kept.nbytes + other.nbytes == 1536

"""What `engines.cuda` asks of cuda-core, run on the simulated driver: `test_cuda` starts this as a process of its own.

Prints one line of JSON: for each case None, or the traceback of what failed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
import traceback

import numpy as np
import pytest

from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.cuda.device import Cuda
from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.engine import ignore
from meshwright.engines.errors import BackendError, BackendUnavailable, Cancelled, DeviceLost
from meshwright.engines.loop import BlockLoop, LoopOptions
from meshwright.engines.loop_buffers import LoopBuffers
from tests.engines.simulated_driver import STREAM, Card, SimulatedDriver


def simulated_driver():
    """The one that cuda-core loads in this process; it lives as long as the process does."""
    driver = SimulatedDriver(Card(total=1 << 30, free=1 << 29))
    find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(lambda name: driver.address_of(name.decode()))
    ctypes.CDLL("libcuda.so.1").simulate(find)
    driver.kept = find
    return driver


def filled(cuda, values):
    address = cuda.allocate(values.nbytes)
    cuda.upload(values, address)
    return address


def read(cuda, address, like):
    target = np.zeros_like(like)
    cuda.download(address, target)
    return target


VALUES = np.arange(10, dtype=np.float32)


def memory_and_copies(simulated):
    cuda = Cuda()
    assert (cuda.device, cuda.stream, cuda.lost) == (0, STREAM, None)
    a, b = filled(cuda, VALUES), cuda.allocate(40)
    assert a % 256 == 0
    cuda.copy(a, b, 40)
    np.testing.assert_array_equal(read(cuda, b, VALUES), VALUES)
    free, total = cuda.free_bytes()
    assert 0 < free < total == 1 << 30
    cuda.free(a)
    empty = np.empty((0, 3), np.float32)
    cuda.upload(empty, b)
    cuda.download(b, empty)
    cuda.copy(a, b, 0)
    cuda.synchronise()
    cuda.close()


def the_pool(simulated):
    memory = DeviceMemory(Cuda())
    array = memory.upload(VALUES.reshape(2, 5))
    np.testing.assert_array_equal(array.numpy(), VALUES.reshape(2, 5))
    taken = simulated.counts["cuMemAlloc"]
    del array
    assert memory.upload(VALUES).numpy().tolist() == VALUES.tolist() and simulated.counts["cuMemAlloc"] == taken
    streams = simulated.counts["cuStreamDestroy"]
    memory.close()
    memory.close()
    assert memory.held_bytes == 0 and simulated.counts["cuStreamDestroy"] == streams + 1


def a_capture_is_done_at_its_launch(simulated):
    cuda = Cuda()
    a, b = filled(cuda, VALUES), filled(cuda, VALUES * 0)
    graph = cuda.capture(lambda: cuda.copy(a, b, 40))
    assert not read(cuda, b, VALUES).any() and simulated.counts["cuGraphUpload"] == 1
    for scale in (1, 2):
        cuda.upload(VALUES * scale, a)
        graph.launch()
        np.testing.assert_array_equal(read(cuda, b, VALUES), VALUES * scale)
    graph.close()
    graph.close()
    assert simulated.counts["cuGraphExecDestroy"] == 1 == simulated.counts["cuGraphDestroy"]


def a_capture_that_fails_leaves_the_stream_as_it_was(simulated):
    cuda = Cuda()
    a, b = filled(cuda, VALUES), filled(cuda, VALUES * 0)

    def stop():
        cuda.copy(a, b, 40)
        raise Cancelled("enough")

    kept = []
    for work, kind in ((cuda.synchronise, BackendError), (lambda: cuda.upload(VALUES, a), BackendError), (stop, Cancelled)):
        with pytest.raises(kind) as caught:
            cuda.capture(work)
        kept.append(caught)  # their tracebacks hold the frames of the capture
        assert cuda.lost is None
        graph = cuda.capture(lambda: cuda.copy(a, b, 40))
        gc.collect()
        graph.launch()
        np.testing.assert_array_equal(read(cuda, b, VALUES), VALUES)
    simulated.fails["cuGraphInstantiateWithParams"] = 1
    with pytest.raises(BackendError, match="a CUDA graph could not be captured"):
        cuda.capture(lambda: cuda.copy(a, b, 40))
    simulated.fails["cuGraphInstantiateWithParams"] = 0
    del kept
    gc.collect()
    ended = simulated.counts["cuStreamEndCapture"]

    def work():
        gc.collect()
        assert simulated.counts["cuStreamEndCapture"] == ended
        cuda.copy(a, b, 40)

    cuda.capture(work).launch()


def memory_of_the_host_that_the_gpu_reads(simulated):
    cuda = Cuda()
    buffer, there = cuda.allocate_host(VALUES.nbytes), cuda.allocate(VALUES.nbytes)
    buffer.array[:] = VALUES.view(np.uint8)
    copied = simulated.counts["cuStreamSynchronize"]
    cuda.copy_from_host(buffer, there, VALUES.nbytes)
    assert simulated.counts["cuStreamSynchronize"] == copied
    np.testing.assert_array_equal(read(cuda, there, VALUES), VALUES)
    buffer.close()
    buffer.close()
    assert simulated.counts["cuMemFreeHost"] == 1
    simulated.fails["cuMemHostAlloc"] = 2
    with pytest.raises(BackendError, match="40 bytes of page-locked memory could not be allocated"):
        cuda.allocate_host(40)
    simulated.fails["cuMemHostAlloc"] = 0


def a_loop_in_blocks(simulated):
    """Its step copies a row to where the next carry lies: the carry after N steps is the last row."""
    cuda = Cuda()
    memory = DeviceMemory(cuda)

    def arguments(steps):
        return {"x": np.zeros(3, np.float32)}, {"z": np.arange(3 * steps, dtype=np.float32).reshape(steps, 3)}, {}

    buffers = LoopBuffers(memory, *arguments(1), {})
    loop = BlockLoop(cuda, buffers, lambda addresses: cuda.copy(addresses["z"], addresses["x_next"], 12), options=LoopOptions())
    graphs = []
    for steps in (8, 8, 20, 3):
        launched, seen = simulated.counts["cuGraphLaunch"], []
        made = loop.scan(*arguments(steps), lambda done, of, seen=seen: seen.append(done), keep=False)
        np.testing.assert_array_equal(made["x"], [3 * steps - 3, 3 * steps - 2, 3 * steps - 1])
        assert seen[-1] == steps
        graphs.append(simulated.counts["cuGraphLaunch"] - launched)
    assert loop.choice == BlockChoice(8, 50.0, 1.0, 16.0) and graphs == [1, 1, 2, 0]  # the driver's copies take 2 ms, its graphs 1 ms

    def stop(done, of):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        loop.scan(*arguments(24), stop, keep=False)
    np.testing.assert_array_equal(loop.scan(*arguments(16), ignore, keep=False)["x"], [45, 46, 47])
    freed = simulated.counts["cuMemFreeHost"]
    loop.close()
    memory.close()
    assert simulated.counts["cuMemFreeHost"] == freed + 2 and simulated.counts["cuMemHostAlloc"] == simulated.counts["cuMemFreeHost"] + 1


def a_stream_of_low_priority(simulated):
    assert Cuda(low_priority=True).core_stream.priority == 2  # the least that this driver knows


def events(simulated):
    cuda = Cuda()
    a, b = filled(cuda, VALUES), filled(cuda, VALUES)
    first = cuda.record()
    cuda.copy(a, b, 40)
    cuda.copy(a, b, 40)
    last = cuda.record()
    cuda.wait(last)
    assert cuda.milliseconds(first, last) == 4.0


def other_threads(simulated):
    cuda = Cuda()
    found = []

    def work():
        address = filled(cuda, VALUES)
        graph = cuda.capture(lambda: cuda.copy(address, address + 0, 40))
        graph.launch()
        found.append(read(cuda, address, VALUES))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], VALUES)


def an_error_that_passes(simulated):
    cuda = Cuda()
    with pytest.raises(BackendError, match=r"2,147,483,648 bytes of GPU memory could not be allocated.*CUDA_ERROR_OUT_OF_MEMORY \(2\)"):
        cuda.allocate(1 << 31)
    a = filled(cuda, VALUES)
    simulated.fails["cuMemcpyDtoHAsync"] = 1
    with pytest.raises(BackendError, match="an array could not be copied from the GPU") as caught:
        read(cuda, a, VALUES)
    assert not isinstance(caught.value, DeviceLost) and caught.value.__cause__ is not None
    simulated.fails["cuMemcpyDtoHAsync"] = 0
    np.testing.assert_array_equal(read(cuda, a, VALUES), VALUES)


def a_gpu_that_stops_answering(simulated):
    cuda = Cuda()
    memory = DeviceMemory(cuda)
    array = memory.upload(VALUES)
    graph = cuda.capture(lambda: cuda.copy(array.address, array.address, 40))
    for name in ("cuStreamSynchronize", "cuCtxSynchronize", "cuMemFree", "cuGraphLaunch"):
        simulated.fails[name] = 700
    with pytest.raises(DeviceLost, match="the GPU stopped answering: .*start the program again"):
        array.numpy()
    for ask in (graph.launch, cuda.synchronise, lambda: memory.upload(VALUES), lambda: cuda.capture(cuda.synchronise)):
        with pytest.raises(DeviceLost, match="stopped answering earlier"):
            ask()
    assert cuda.lost
    array.close()
    graph.close()
    memory.close()
    cuda.close()


def a_gpu_that_cannot_be_used(simulated):
    simulated.fails["cuDevicePrimaryCtxRetain"] = 2
    with pytest.raises(BackendUnavailable, match="the GPU cannot be used"):
        Cuda()
    simulated.fails["cuDevicePrimaryCtxRetain"] = 0
    with pytest.raises(BackendUnavailable, match="the GPU cannot be used"):
        Cuda(device=1)


# The last one leaves a GPU that does not answer.
CASES = (a_gpu_that_cannot_be_used, memory_and_copies, the_pool, a_capture_is_done_at_its_launch,
         a_capture_that_fails_leaves_the_stream_as_it_was,
         memory_of_the_host_that_the_gpu_reads, a_loop_in_blocks, a_stream_of_low_priority, events, other_threads,
         an_error_that_passes, a_gpu_that_stops_answering)


def main():
    simulated, found = simulated_driver(), {}
    for case in CASES:
        try:
            case(simulated)
            found[case.__name__] = None
        except BaseException:
            found[case.__name__] = traceback.format_exc()
    json.dump(found, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # cuda-core gives its context back once Python has ended, which the simulated driver has then too


if __name__ == "__main__":
    main()

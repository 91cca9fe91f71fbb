"""One GPU through cuda-core: memory, copies, one stream, CUDA graphs and events. The only file that talks to CUDA.

TensorRT and ONNX Runtime get addresses and the stream from here and launch their own kernels. Tests put
`tests/engines/simulated_cuda.py` in its place, which has the same methods over host memory.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import BackendError, BackendUnavailable, DeviceLost, MeshwrightError
from .driver import Driver
from .nvml import Nvml
from .remedies import unavailable

INSTALL = "pip install 'meshwright[gpu]'"
# CUresult, as cuda.h numbers it: after one of these every later call of the process fails too.
STICKY = frozenset({4, 46, 201, 214, 220, 226, 700, 702, 708, 709, 710, 714, 715, 716, 717, 718, 719, 721, 910, 911, 999})
RESTART = "start the program again; if that does not help, restart the machine"


class Graph:
    """A captured graph, ready to be launched. It holds no memory: who launches it keeps what it works on."""

    def __init__(self, cuda: Cuda, graph: Any) -> None:
        self._cuda, self._graph = cuda, graph

    def launch(self) -> None:
        """Start it on the stream, without waiting for it. Raises as every method of `Cuda`."""
        with self._cuda.translate_errors("the CUDA graph did not start"):
            self._graph.launch(self._cuda.core_stream)

    def close(self) -> None:
        """Give it back. Never raises."""
        with suppress(Exception):
            self._graph.close()


class HostBuffer:
    """Page-locked memory of the host. array : (n,) uint8, of no use once it is closed"""

    def __init__(self, address: int, nbytes: int, release: Callable[[int], None]) -> None:
        self.address, self._release = address, release
        self.array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))

    def close(self) -> None:
        """Give it back. Closing twice does nothing."""
        if self.array.size:
            self.array = np.empty(0, np.uint8)
            self._release(self.address)


class Cuda:
    """One GPU and one stream on it, for the engines of one pipeline: their work is done in the order it was asked for.

    Methods may be called from any thread, one at a time. They raise BackendError for what CUDA refuses, and DeviceLost
    where the GPU stopped answering: then, and from then on, every call.
    stream : its address, as the vendors' libraries take it; lost : why the GPU stopped answering, or None
    """

    def __init__(self, device: int = 0, *, low_priority: bool = False) -> None:
        """device : its number, as CUDA_VISIBLE_DEVICES leaves it. BackendUnavailable without driver, package or GPU.

        low_priority : other streams of this process, and of those that share the GPU by NVIDIA's MPS, come first, at each kernel
        """
        core, self._driver = _load()
        self.device = device
        self.lost: str | None = None
        try:
            self._device = core.Device(device)
            self._device.set_current()
            priority = self._checked(self._driver.cuCtxGetStreamPriorityRange()) if low_priority else None
            self.core_stream = self._device.create_stream(options=core.StreamOptions(priority=priority))
        except Exception as error:  # DynamicLibNotFoundError, CUDAError, ValueError: they share no base class
            raise unavailable("the GPU cannot be used", error, INSTALL) from error
        self.stream = int(self.core_stream.handle)
        # Whoever waits for an event sleeps: a host that spins through every block would take a core from the program around it.
        self._event_options = core.EventOptions(timing_enabled=True, blocking_sync=True)

    def allocate(self, nbytes: int) -> int:
        """The address of new memory, aligned to 256 bytes at least."""
        with self.translate_errors(f"{nbytes:,} bytes of GPU memory could not be allocated"):
            return int(self._checked(self._driver.cuMemAlloc(nbytes)))

    def free(self, address: int) -> None:
        """Give memory back, after what is under way. Never raises: what cannot be given back is lost with the GPU."""
        with suppress(BackendError), self.translate_errors("memory could not be given back"):
            self._checked(self._driver.cuMemFree(address))

    def upload(self, source: np.ndarray, address: int) -> None:
        """Copy an array in C order to the GPU, and wait for it: the array may be changed, or go, when this returns.

        Where the GPU reads pageable memory of the host by itself, a copy that is not waited for would read it later.
        """
        with self.translate_errors("an array could not be copied to the GPU"):
            if source.nbytes:
                self._checked(self._driver.cuMemcpyHtoDAsync(address, source.ctypes.data, source.nbytes, self.stream))
                self.core_stream.sync()

    def download(self, address: int, target: np.ndarray) -> None:
        """Fill an array in C order from the GPU, and wait for it."""
        with self.translate_errors("an array could not be copied from the GPU"):
            if target.nbytes:
                self._checked(self._driver.cuMemcpyDtoHAsync(target.ctypes.data, address, target.nbytes, self.stream))
            self.core_stream.sync()

    def allocate_host(self, nbytes: int) -> HostBuffer:
        """Memory of the host that the GPU reads by itself, page-locked."""
        with self.translate_errors(f"{nbytes:,} bytes of page-locked memory could not be allocated"):
            return HostBuffer(int(self._checked(self._driver.cuMemHostAlloc(nbytes, 0))), nbytes, self._free_host)

    def _free_host(self, address: int) -> None:
        """Give such memory back, once nothing reads it any more. Never raises."""
        with suppress(BackendError), self.translate_errors("memory could not be given back"):
            self._checked(self._driver.cuMemFreeHost(address))

    def copy_from_host(self, buffer: HostBuffer, target: int, nbytes: int) -> None:
        """Copy the first bytes of a buffer to the GPU, without waiting: it must stay as it is until an event recorded now has happened."""
        with self.translate_errors("an array could not be copied to the GPU"):
            self._checked(self._driver.cuMemcpyHtoDAsync(target, buffer.address, nbytes, self.stream))

    def copy(self, source: int, target: int, nbytes: int) -> None:
        """Copy within the GPU. The two must not overlap."""
        with self.translate_errors("an array could not be copied on the GPU"):
            if nbytes:
                self._checked(self._driver.cuMemcpyDtoDAsync(target, source, nbytes, self.stream))

    def synchronise(self) -> None:
        """Wait until everything that was asked for is done."""
        with self.translate_errors("the GPU did not finish its work"):
            self.core_stream.sync()

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record what `work` asks the stream for, instead of doing it. What `work` raises leaves the stream as it was.

        `work` must neither allocate nor wait nor copy from or to the host.
        """
        with self.translate_errors("a CUDA graph could not be captured"):
            builder = self.core_stream.create_graph_builder()
            try:
                builder.begin_building("thread_local")  # other threads may use the GPU meanwhile
                work()
                graph = builder.end_building().complete()
                graph.upload(self.core_stream)  # else its first launch would wait for that
                return Graph(self, graph)
            except BaseException:
                with suppress(Exception):  # it raises what is known already, and has then ended the capture
                    builder.close()
                # A builder that an exception's traceback keeps would end a later capture of the stream when it goes.
                del builder
                raise

    def record(self) -> Any:
        """An event that happens when the work asked for so far is done."""
        with self.translate_errors("an event could not be recorded"):
            event = self._device.create_event(self._event_options)
            return self.core_stream.record(event)

    def wait(self, event: Any) -> None:
        """Until an event has happened."""
        with self.translate_errors("the GPU did not finish its work"):
            event.sync()

    def milliseconds(self, first: Any, last: Any) -> float:
        """Between two events; waits for the last."""
        with self.translate_errors("an event did not happen"):
            last.sync()
            return float(last - first)

    def free_bytes(self) -> tuple[int, int]:
        """Memory of the card that is free, and all of it."""
        with self.translate_errors("the GPU does not say how much memory is free"):
            status, free, total = self._driver.cuMemGetInfo()
            self._checked((status,))
            return int(free), int(total)

    def process_bytes(self) -> int | None:
        """What this process holds of the card's memory; None where NVML does not say, as in many containers. Never raises."""
        with suppress(BackendUnavailable):
            return Nvml().process_bytes(Driver().pci_bus(self.device), os.getpid())
        return None

    def close(self) -> None:
        """Give the stream back. Never raises."""
        with suppress(Exception):
            self.core_stream.close()

    @contextmanager
    def translate_errors(self, subject: str) -> Iterator[None]:
        """Around anything that uses the GPU: makes it current on this thread, and turns CUDA's errors into ours.

        Errors of Meshwright pass through; what else is raised within becomes BackendError, or DeviceLost.
        """
        if self.lost is not None:
            raise DeviceLost("the GPU stopped answering earlier", received=self.lost, remedy=RESTART)
        try:
            self._device.set_current()
            yield
        except MeshwrightError:
            raise
        except Exception as error:
            raise self.error(subject, error) from error

    def error(self, subject: str, error: Exception | str) -> BackendError:
        """Our error for one of a vendor's, whose words may be `error`. Asks the GPU whether it still answers."""
        words = " ".join(str(error).split()) or type(error).__name__
        if self._stopped():
            self.lost = words
            return DeviceLost(f"the GPU stopped answering: {subject}", received=words, remedy=RESTART)
        return BackendError(subject, received=words)

    def _stopped(self) -> bool:
        try:
            return int(self._driver.cuCtxSynchronize()[0]) in STICKY
        except Exception:  # a driver that can no longer be called
            return True

    def _checked(self, result: tuple[Any, ...]) -> Any:
        """What a call of the driver gave, after its status."""
        status, *values = result
        if int(status):
            raise RuntimeError(f"{getattr(status, 'name', 'CUDA error')} ({int(status)})")
        return values[0] if values else None


def _load() -> tuple[ModuleType, ModuleType]:
    try:
        import cuda.core as core
        from cuda.bindings import driver
    except Exception as error:  # besides ImportError, the loaders of its libraries raise RuntimeErrors
        raise unavailable("the package cuda-core cannot be imported", error, INSTALL) from error
    return core, driver

"""Builds one engine in a process of its own, so that a vendor's library that crashes, prints or eats all memory harms nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

import numpy as np

from .. import errors
from ..cuda.remedies import MAKE_ROOM
from ..errors import BackendError, ModelFileError
from ..machine.child import start_child
from ..machine.hardware import Hardware
from ..machine.products import Product
from ..onnxruntime.weights import ModelWeights
from .builder import FLAGS, NO_TF32, REFIT, OnProgress, failed
from .network import Range

# Kept free of the card's memory: engines that run, and what the driver itself takes while it builds.
RESERVE = 512 << 20
# For a build on a machine without a GPU, whose engine will run elsewhere.
ELSEWHERE = 8 << 30
# The compute capability from which on TensorRT-RTX builds engines without being asked: Turing would make them slower.
MIN_DEFAULT_CAPABILITY = 8.0
# Seconds between two calls of `on_progress`, whether or not the process that builds has printed anything.
INTERVAL = 0.5


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built.

    axes : a range for each open axis of the model; workspace : most bytes of scratch memory, None for TensorRT's own choice
    weights : in place of the model's own, by name; None for those
    refittable : whether the engine can be given other weights later
    exact : whether FP32 is calculated with as such, and not with the factors of its products rounded to TF32
    capabilities : compute capabilities that a portable engine is to run on, such as ("7.5",); none for what TensorRT-RTX builds for by
        itself, Ampere (8.0) and later
    """

    product: Product
    model: Path
    axes: Mapping[str, Range]
    workspace: int | None = None
    weights: Mapping[str, np.ndarray] | None = field(default=None, compare=False, repr=False)
    refittable: bool = False
    exact: bool = False
    capabilities: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of TensorRT's builder flags."""
        return (*FLAGS, *([REFIT] if self.refittable else []), *([NO_TF32] if self.exact else []))


def capabilities_for(product: Product, hardware: Hardware) -> tuple[str, ...]:
    """What a portable engine has to be built for so that it runs on this machine's GPU; see `BuildRequest.capabilities`."""
    found = hardware.gpus[0].compute_capability if product.is_portable and hardware.gpus else None
    return (found,) if found in product.capabilities and float(found) < MIN_DEFAULT_CAPABILITY else ()


def workspace_limit(hardware: Hardware) -> int | None:
    """Bytes of scratch memory that a build may have: what is free on the first GPU. None where the driver does not say."""
    if not hardware.gpus:
        return ELSEWHERE
    free = hardware.gpus[0].free_bytes
    return None if free is None else max(free - RESERVE, free // 2)


def build_to(order: BuildRequest, out: Path, on_progress: OnProgress, lock: int | None = None) -> None:
    """Build an engine into the new file `out`, which holds half an engine, or none, if this raises.

    on_progress : called with the share that is done, in [0, 1], twice a second at least; what it raises ends the build at once
    lock : an open file that the process that builds holds too, so that a lock on it is free only when both have ended
    Raises BackendUnavailable, ModelFileError, BackendError (an operator that TensorRT does not take, too little memory,
    a library that crashed, a process that did not start), OutputError (a full disk). An interrupt ends the build at once.
    """
    with _model(order, out) as model:
        _build(order, model, out, on_progress, lock)


@contextmanager
def _model(order: BuildRequest, out: Path) -> Iterator[Path]:
    """The model file, or a copy beside `out` with the weights that take the place of its own.

    Weights in 8 bits are float32 there: TensorRT takes no blocks along the inputs of a convolution, and then the engine calculates
    and can be refitted as that of any other pack.
    """
    if not order.weights and not _is_in_8_bits(order.model):
        yield order.model
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{out.name}-", dir=out.parent))
            copy = ModelWeights(order.model).write(order.weights or {}, Path(folder), widen=True)
        except OSError as error:
            raise errors.OutputError(f"there is no room for a copy of {order.model.name} with the weights to build with",
                                     received=error.strerror or str(error), remedy=MAKE_ROOM) from error
        yield copy


def _is_in_8_bits(model: Path) -> bool:
    try:
        return bool(ModelWeights(model).in_8_bits)
    except ModelFileError:  # which the process that builds tells
        return False


def _build(order: BuildRequest, model: Path, out: Path, on_progress: OnProgress, lock: int | None) -> None:
    request = {"parent": os.getpid(), "product": order.product.name, "model": str(model), "out": str(out), "workspace": order.workspace,
               "flags": order.flags, "capabilities": order.capabilities,
               "axes": {name: [each.low, each.best, each.high] for name, each in order.axes.items()}}
    with ExitStack() as stack:
        try:
            output = stack.enter_context(tempfile.TemporaryFile())
            process = _start(output, lock)
        except OSError as error:
            raise BackendError(f"{order.model.name} cannot be built", received=f"the process that builds it did not start: {error}",
                               remedy="close other programs; the cache is unchanged") from error
        orders, lines = _pipe(process.stdin), _Lines(_pipe(process.stdout))
        try:
            if not _converse(orders, lines, request, on_progress):
                raise _ended(order.model.name, process.wait(), output)
        finally:
            process.kill()
            process.wait()
            lines.close()
            with suppress(BrokenPipeError):  # of a worker that ended before it had read its order
                orders.close()


def _start(output: IO[bytes], lock: int | None) -> subprocess.Popen[str]:
    """The worker. output : for what the vendor's libraries print."""
    return start_child(_command(), inherited=lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
                       encoding="utf-8", errors="replace")


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # as `_start` asks for pipes
    return stream


def _command() -> list[str]:
    return [sys.executable, "-P", "-m", f"{__package__}.worker"]


class _Lines:
    """The lines of a stream, read on a thread of its own, so that waiting for one can end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._queue = stream, SimpleQueue[str]()
        self._thread = threading.Thread(target=self._read, name="meshwright-build", daemon=True)
        self._thread.start()

    def next(self) -> str | None:
        """The next line, "" where the stream has ended, None where nothing came within INTERVAL."""
        try:
            return self._queue.get(timeout=INTERVAL)
        except Empty:
            return None

    def close(self) -> None:
        """Close the stream, whose other end is closed."""
        self._thread.join()
        self._stream.close()

    def _read(self) -> None:
        try:
            for line in self._stream:
                self._queue.put(line)
        finally:
            self._queue.put("")


def _converse(orders: IO[str], lines: _Lines, request: dict[str, Any], on_progress: OnProgress) -> bool:
    """Whether the worker reported that it has finished; its own error is raised."""
    try:
        orders.write(json.dumps(request) + "\n")
        orders.flush()
    except BrokenPipeError:
        return False
    share = 0.0
    while (line := lines.next()) != "":
        answer: dict[str, Any] = {"share": share} if line is None else json.loads(line)
        if "error" in answer:
            raise _received(answer["error"])
        if "share" not in answer:
            return True
        share = answer["share"]
        on_progress(share)
    return False


def _received(parts: list[Any]) -> Exception:
    kind, subject, received, expected, remedy = parts
    return getattr(errors, kind, BackendError)(subject, received=received, expected=expected, remedy=remedy)


def _ended(name: str, code: int, output: IO[bytes]) -> errors.EngineError:
    """A worker that ended without an answer: the system ended it, or a library crashed."""
    output.seek(0)
    last = " ".join(output.read().decode("utf-8", "replace").split())[-300:]
    if code == -getattr(signal, "SIGKILL", 9):
        return failed(name, "out of memory: the system ended the process that built it")
    if last:
        return failed(name, f"the process that built it ended with {code}; its output: {last}")
    return BackendError(f"{name} cannot be built", received=f"the process that built it ended with {code} without a message",
                        remedy="this component runs on ONNX Runtime; the cache is unchanged")

"""Workers of a batch as actors of a Ray cluster: Ray says on which node each of them runs, and tells when one is lost.

Nodes share no files with us. Lines go to them with their pictures, results come back as bytes, and this process alone writes them. Each
node needs Python, Ray and Meshwright in the versions of ours, and the pack: a bundled one, one in its $MESHWRIGHT_PACKS, or in the same
folder as here.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...engines.errors import BackendUnavailable, InputError, MeshwrightError, PackError
from ...engines.files.regular_file import read_regular
from ..backends.candidates import CPU
from ..images.pictures import MAX_BYTES
from ..pack.pack import Pack, installed_packs
from ..pipeline import Pipeline
from .crew import READY, Answer, Lost
from .lines import Line
from .worker import BatchSettings, Maker, Result, Work, names_file

LOCAL = "local"
# Variables of the environment, which Ray reads when it is imported and hands down.
NO_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0"}
NOWHERE = "http://127.0.0.1:9"
INSTALL = "pip install 'meshwright[ray]'"
# Cores of a worker without a GPU, where nothing is said of threads and a node has so many.
CORES = 4
# Seconds: between two looks at the nodes; without a worker that has a place, before the batch ends.
LOOK, MOST_WAIT = 2.0, 600.0
# Bytes for results on their way, in a cluster of our own.
STORE_BYTES = 512 << 20
Files = Mapping[str, tuple[str, bytes]]  # option -> name and contents of the file that it names


class Actor:
    """What runs on a node: one open pipeline."""

    def __init__(self, settings: BatchSettings, pack_hash: str, lora: tuple[str, bytes] | None) -> None:
        self._settings, self._pack_hash = settings, pack_hash
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="meshwright-")))
        if lora is not None:
            self._settings = replace(settings, lora=self._written("lora", *lora))

    def open(self) -> str | MeshwrightError:
        """READY, or why not."""
        settings, node = self._settings, socket.gethostname()
        try:
            pack = Pack.open(settings.pack)
            if pack.hash != self._pack_hash:
                raise PackError(f"the pack {settings.pack} of node {node} is another one", received=pack.hash, expected=self._pack_hash,
                                remedy="install the same version of Meshwright, and of the pack, on every node")
            # By its hash it is the one that is trusted where the batch was started.
            pipe = Pipeline.open(settings.pack, **{**settings.engine, "trust": True})
        except MeshwrightError as error:
            return error
        self._maker = Maker(self._stack.enter_context(pipe), settings)
        return READY

    def make(self, line: Line, request: str, files: Files) -> Result:
        """files : of the line, which are put into a folder of this node"""
        local = {option: self._written(option, *file) for option, file in files.items()}
        return self._maker.result(replace(line, options={**line.options, **local}), request)

    def _written(self, option: str, name: str, data: bytes) -> str:
        path = self._folder / option / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)


class RayWorker:
    """An actor as we see it. waits_for : the answer that will come, None while it has nothing to do"""

    def __init__(self, ray: Any, handle: Any, settings: BatchSettings) -> None:
        self._ray, self._handle, self._settings = ray, handle, settings
        self.waits_for: Any = handle.open.remote()
        self.has_task = False

    def send(self, work: Work) -> None:
        """As of every `Worker`."""
        line, request = work
        self.waits_for, self.has_task = self._handle.make.remote(line, request, files_of(self._settings.options_of(line))), True

    def end(self) -> None:
        """As of every `Worker`."""
        self._ray.kill(self._handle)


class RayWorkers:
    """need : of Ray's resources, what one actor takes; jobs : how many at the most, None for as many as there is room for"""

    def __init__(self, ray: Any, settings: BatchSettings, pack: Pack, jobs: int | None) -> None:
        self._ray, self._jobs = ray, jobs
        self.need = needed(settings, self._nodes())
        threads = settings.engine.get("threads") or (None if "GPU" in self.need else int(self.need["CPU"]))
        by_name = pack.folder.name == settings.pack and pack.folder in installed_packs()
        self._settings = replace(settings, engine={**settings.engine, "threads": threads},
                                 pack=settings.pack if by_name else str(pack.folder.resolve()))
        lora = None if settings.lora is None else (Path(settings.lora).name, Path(settings.lora).read_bytes())
        self._lora, self._hash = ray.put(lora), pack.hash
        self._actor = ray.remote(num_cpus=self.need["CPU"], num_gpus=self.need.get("GPU", 0), max_restarts=0)(Actor)
        self._last_sign = time.monotonic()

    def room(self) -> int:
        """As of all `Workers`: nodes come and go."""
        fitting = sum(int(min(node.get(name, 0) // amount for name, amount in self.need.items())) for node in self._nodes())
        return fitting if self._jobs is None else min(fitting, self._jobs)

    def start(self) -> RayWorker:
        """As of all `Workers`. It opens the pack once Ray has a place for it."""
        return RayWorker(self._ray, self._actor.remote(self._settings, self._hash, self._lora), self._settings)

    def answers(self, workers: Sequence[RayWorker], seconds: float) -> Sequence[tuple[RayWorker, Answer]]:
        """As of all `Workers`. BackendUnavailable if none has had a place for long."""
        waiting = {worker.waits_for: worker for worker in workers if worker.waits_for is not None}
        if not waiting:
            time.sleep(LOOK)
        done = self._ray.wait([*waiting], num_returns=1, timeout=min(seconds, LOOK))[0] if waiting else []
        if done or any(worker.has_task for worker in workers):
            self._last_sign = time.monotonic()
        elif time.monotonic() - self._last_sign > MOST_WAIT:
            raise BackendUnavailable(f"no node of the Ray cluster has had room for {MOST_WAIT:.0f} s", expected=_words(self.need),
                                     received=_words(self._ray.available_resources()), remedy="add nodes, or say fewer --threads")
        return [(waiting[reference], self._answer(waiting[reference])) for reference in done]

    def _answer(self, worker: RayWorker) -> Answer:
        reference, worker.waits_for, worker.has_task = worker.waits_for, None, False
        try:
            answer: Answer = self._ray.get(reference)
            return answer
        except self._ray.exceptions.RayError as error:
            return Lost(f"was lost ({' '.join(str(error).split())[:300]})")

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


def needed(settings: BatchSettings, nodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What one worker takes of Ray's resources: a GPU, where a node has one and the settings may use it; else a share of the cores.

    nodes : the resources of each
    """
    engine = settings.engine
    on_gpu = engine.get("backend") != "null" and tuple(engine.get("providers") or ()) != (CPU,)
    if on_gpu and any(node.get("GPU", 0) >= 1 for node in nodes):
        return {"CPU": engine.get("threads") or 1, "GPU": 1}
    return {"CPU": engine.get("threads") or min([CORES, *(int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1)])}


def files_of(options: Mapping[str, Any]) -> Files:
    """The files that a line's options name. One that cannot be read any more is left out: then the worker says that it is not there."""
    found = {}
    for option, value in options.items():
        if names_file(option, value):
            with suppress(InputError):
                found[option] = (Path(value).name, read_regular(Path(value), option, InputError, max_bytes=MAX_BYTES))
    return found


@contextmanager
def ray_actors(address: str, settings: BatchSettings, pack: Pack, jobs: int | None) -> Iterator[RayWorkers]:
    """Workers of the cluster at that address, as `ray.init` takes it, or of one that is started for this batch: "local".

    A connection that the program has opened already is used, and left open. Errors: BackendUnavailable.
    """
    with ExitStack() as stack:
        with _environment({**NO_STATISTICS, **(own_cluster() if address == LOCAL else {})}), _own_signals():
            try:
                import ray
                import ray.exceptions
            except ImportError as error:
                raise BackendUnavailable("Ray", received=str(error), expected="the package", remedy=INSTALL) from error
            if not ray.is_initialized():
                _connect(ray, address, stack)
        yield RayWorkers(ray, settings, pack, jobs)


def own_cluster() -> dict[str, str]:
    """Variables for a cluster that listens at this machine's own address alone, to those who know a token that is nowhere written.

    Whatever it is told of statistics, Ray asks the addresses of clouds' metadata where it is: through a proxy that is not there.
    """
    return {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "127.0.0.1,localhost"}


def _connect(ray: Any, address: str, stack: ExitStack) -> None:
    """stack : ends the connection, and what was started for it"""
    options: dict[str, Any] = {}
    if address == LOCAL:  # its sockets may have short names only: not in a user's own folder for temporary files
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meshwright-ray-", dir="/tmp" if os.name == "posix" else None,
                                                                 ignore_cleanup_errors=True))
        options = {"include_dashboard": False, "object_store_memory": STORE_BYTES, "_temp_dir": folder}
    stack.callback(ray.shutdown)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray has no class of its own for most of what can go wrong here
        raise BackendUnavailable("the Ray cluster", received=str(error), expected=f"an address, auto or {LOCAL}") from error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """With these variables of the environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM over, and ends the process without a word; here Ctrl-C and SIGTERM stay the program's own."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _words(resources: Mapping[str, float]) -> str:
    """{"CPU": 4.0, ...} -> "4 CPU" """
    return ", ".join(f"{resources.get(name, 0):g} {name}" for name in ("GPU", "CPU") if resources.get(name)) or "nothing"

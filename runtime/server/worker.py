"""A worker of the server: a process of its own, which opens the packs once and runs one task after the other.

    python -m meshwright.runtime.server.worker OPTIONS        OPTIONS: `WorkerOptions` as JSON

It claims tasks from the queue itself. The server sends a line on standard input when it should look at the queue again; the worker
sends a task's id on standard output when there is something new of it, and ends when standard input does. Exit code 3: this process
cannot run anything any more (a lost GPU), another one may.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...engines.errors import Cancelled, DeviceLost, MeshwrightError, printable
from ...engines.files.file_set import write_files
from ...engines.machine.parent import end_with_parent
from ..assets.asset import steps
from ..assets.finish import finish
from ..assets.options import AssetOptions
from ..assets.presets import PRESETS
from ..events import CoarseMesh, EngineBuild, Event, Notice, StageStarted, Step, Views
from ..files.gltf.encoding import png_bytes
from ..files.writer import encode
from ..geometry.render import preview
from ..geometry.shading import to_uint8
from ..pipeline import Pipeline
from ..request import Request
from .folder import DataFolder, without_folders
from .schema import OF_THE_RESULT
from .store import CANCELED, FAILED, SUCCEEDED, Task, TaskStore

LOST = 3
# Seconds: between two looks at the queue without being told to, between two tries on a full disk.
IDLE, FULL_DISK = 0.5, 2.0
PREVIEW = 256  # pixels along a picture's height: it is drawn by the processor, and for thumbnails
FAST = 1  # of PNG's levels of compression, for what is looked at once
# Parts of a lease after which it is renewed.
RENEWALS = 4


@dataclass(frozen=True)
class WorkerOptions:
    """data : the server's folder; name : of this worker, unique; packs : names or folders, the first one is the default

    lease : seconds that a task is claimed for at a time; deadline : seconds that a task may run; min_free : bytes that the disk must
    have free before a task is begun. backend, threads, memory, gpu_share, vram (for each pack), trust : of `Pipeline.open`
    """

    data: str
    name: str
    packs: tuple[str, ...]
    lease: float = 20.0
    deadline: float = 7200.0
    min_free: int = 256 << 20
    backend: str = "auto"
    threads: int | None = None
    memory: str = "normal"
    gpu_share: str = "full"
    vram: str | None = None
    trust: bool = False

    def to_json(self) -> str:
        """For the command line of a worker."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerOptions:
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**fields | {"packs": tuple(fields["packs"])})


class Worker:
    """Runs tasks until the process ends."""

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options
        self.folder = DataFolder(Path(options.data))
        self.store = TaskStore(self.folder.database)
        self.pipelines: dict[str, Pipeline] = {}
        self._wake = threading.Event()
        self._running: _Run | None = None

    def serve(self) -> None:
        """Open the first pack, then run what is in the queue, and wait for more. Returns never."""
        self._pipeline(self.options.packs[0]).prewarm()
        threading.Thread(target=self._listen, name="meshwright-input", daemon=True).start()
        threading.Thread(target=self._keep, name="meshwright-lease", daemon=True).start()
        tell("")
        while True:
            self._wake.clear()
            task = self._claim()
            if task is None:
                self._wake.wait(IDLE)
            else:
                self._run(task)

    def _claim(self) -> Task | None:
        with suppress(sqlite3.Error):  # such as a full disk: tasks wait until it is not
            if self.folder.free_bytes() >= self.options.min_free:
                return self.store.claim(self.options.name, self.options.lease)
        return None

    def _run(self, task: Task) -> None:
        run = self._running = _Run(self.store, self.folder, task, self.options.deadline)
        outcome: dict[str, Any] = {"state": FAILED}
        try:
            files, timings = run.make(lambda: self._pipeline(task.request["pack"]))
            outcome = {"state": SUCCEEDED, "files": files, "timings": {name: round(s, 4) for name, s in timings.items()}}
        except _GivenUp:
            return
        except Cancelled:
            outcome = {"state": CANCELED}
        except DeviceLost:
            raise
        except MeshwrightError as error:
            outcome["error"] = run.public(str(error))
        except MemoryError:
            outcome["error"] = "out of memory"
        except Exception as error:  # a fault of ours: the task fails, the worker stays
            outcome["error"] = f"internal error: {type(error).__name__}"
            print(f"task {task.id}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            self._running = None
        self._end(task, outcome)

    def _end(self, task: Task, outcome: Mapping[str, Any]) -> None:
        """A task that has ended must be known to have: a full disk is waited for."""
        while True:
            try:
                self.store.end(task, **outcome)
                return tell(task.id)
            except sqlite3.Error:
                time.sleep(FULL_DISK)

    def _pipeline(self, name: str) -> Pipeline:
        if name not in self.pipelines:
            options = self.options
            self.pipelines[name] = Pipeline.open(name, backend=options.backend, threads=options.threads, memory=options.memory,
                                                 gpu_share=options.gpu_share, vram=options.vram, trust=options.trust)
        return self.pipelines[name]

    def _listen(self) -> None:
        """Wake up, and look whether the task is cancelled, with each line; end with the server."""
        try:
            for _ in sys.stdin.buffer:
                self._wake.set()
                self._renew()
        finally:
            os._exit(1)

    def _keep(self) -> None:
        while True:
            time.sleep(self.options.lease / RENEWALS)
            self._renew()

    def _renew(self) -> None:
        run = self._running
        if run is not None:
            with suppress(sqlite3.Error):
                if not self.store.renew(run.task, self.options.lease):
                    run.stopped.set()


class _GivenUp(Exception):
    """The task belongs to another worker by now."""


class _Run:
    """One attempt at a task."""

    def __init__(self, store: TaskStore, folder: DataFolder, task: Task, seconds: float) -> None:
        self.store, self.task, self.seconds, self.deadline = store, task, seconds, time.monotonic() + seconds
        self.input, self.output = folder.input(task.id), folder.output(task.id, task.attempts)
        self.stopped = threading.Event()
        self._stages: tuple[str, ...] = ()
        self._stage = 0
        self._metres = 1.0
        # What is shown before the end is made beside the run, which does not wait for it.
        self._beside = ThreadPoolExecutor(1, "meshwright-early")

    def make(self, pipeline: Callable[[], Pipeline]) -> tuple[dict[str, int], Mapping[str, float]]:
        """Run it, and write what it makes. Gives the sizes of the files and the seconds of the stages. Cancelled, or what fails.

        pipeline : gives the open pack, where the task needs one
        """
        self.output.mkdir(parents=True, exist_ok=True)
        if self.task.request["type"] == "finish":
            return self._finish()
        opened = pipeline()
        request, engine = self._request(), self.task.request.get("for")
        self._stages, self._metres = opened.stages_of(request), opened.pack.manifest.metres_per_unit
        try:
            made = opened.generate(request, on_event=self._on_event)
        finally:
            self._beside.shutdown()
        if engine is None:
            return self._write(made.encode(self._target()), made.preview(PREVIEW), made.notices), made.timings
        asset = made.asset(PRESETS[engine], made_for=engine, strict=False, on_step=self._on_asset_step)
        return (self._write(asset.encode(self._target()), made.preview(PREVIEW), (*made.notices, *asset.notices)),
                {**made.timings, **asset.timings})

    def _finish(self) -> tuple[dict[str, int], Mapping[str, float]]:
        request = self.task.request
        engine = request.get("for", "")
        options = replace(PRESETS[engine] if engine else AssetOptions(), **{
            name: request[name] for name in ("faces", "texture") if name in request})
        self._stages = ("repair", *steps(options))
        asset = finish(self.input / request["mesh"]["file"], options, made_for=engine, strict=False, on_step=self._on_asset_step)
        return self._write(asset.encode(self._target()), to_uint8(preview(asset.levels[0].mesh, PREVIEW)), asset.notices), asset.timings

    def _target(self) -> Path:
        return self.output / f"{self.task.request['name']}.{self.task.request['format']}"

    def _write(self, files: dict[Path, bytes], picture: np.ndarray, notices: Sequence[str]) -> dict[str, int]:
        """The result's files, and a picture of it. Gives their sizes."""
        files = files | {self.output / "preview.png": png_bytes(picture)}
        write_files(files)
        for notice in notices:
            self._record("notice", {"message": self.public(notice)})
        return {path.name: len(data) for path, data in files.items()}

    def public(self, message: str) -> str:
        """A message without the names of the server's folders."""
        return printable(without_folders(message.replace(f"{self.input}{os.sep}", "").replace(str(self.input), "the request")))

    def _request(self) -> Request:
        options = dict(self.task.request)
        if "for" in options:
            options = PRESETS[options["for"]].of_the_request(options.get("textured", True)) | options
        if options["type"] == "texture":
            options["route"] = "texture"
        for name in OF_THE_RESULT:
            options.pop(name, None)
        for name in ("image", "mesh", "control", "matte"):
            if isinstance(options.get(name), dict):
                options[name] = self.input / options[name]["file"]
        if "views" in options:
            options["views"] = [(view["azimuth"], self.input / view["image"]["file"]) for view in options["views"]]
        return Request.load(options.pop("prompt", ""), **options)

    def _check(self) -> None:
        """Ends the run where somebody, or the deadline, wants that."""
        if self.stopped.is_set():
            found = self.store.get(self.task.id)
            raise Cancelled("the task was cancelled") if found is not None and found.cancel else _GivenUp
        if time.monotonic() > self.deadline:
            raise MeshwrightError("the task takes too long", received=f"more than {self.seconds:g} s",
                                  remedy="start the server with a longer --deadline")

    def _on_event(self, event: Event) -> None:
        self._check()
        if isinstance(event, StageStarted):
            self._stage = self._stages.index(event.stage) if event.stage in self._stages else self._stage
            self._record("stage", {"stage": event.stage, "index": self._stage + 1, "total": len(self._stages)}, 0.0)
        elif isinstance(event, Step):
            self._record("step", {"stage": event.stage, "index": event.index, "total": event.total}, event.index / event.total)
        elif isinstance(event, EngineBuild):
            self._record("build", {"component": event.component, "share": round(event.share, 3)})
        elif isinstance(event, CoarseMesh):
            mesh, path = event.mesh, Path("coarse.glb")
            self._beside.submit(self._early, path.name, lambda: encode(mesh, path, None, self._metres)[path])
        elif isinstance(event, Views):
            images = event.images
            self._beside.submit(self._early, "views.png", lambda: png_bytes(to_uint8(_sheet(images)), FAST))
        elif isinstance(event, Notice):
            pass  # all of them are told with the result, each one once

    def _on_asset_step(self, name: str, seconds: float | None) -> None:
        self._check()
        if seconds is None:
            known = name in self._stages
            self._stage = self._stages.index(name) if known else self._stage
            self._record("stage", {"stage": name, "index": self._stage + 1, "total": len(self._stages)}, 0.0 if known else 1.0)

    def _early(self, name: str, make: Callable[[], bytes]) -> None:
        """A file that can be fetched before the end. It appears whole, but may be gone after a loss of power, as its task's run is."""
        data, part = make(), self.output / f"{name}.part"
        with suppress(OSError, _GivenUp):  # the run itself meets both
            part.write_bytes(data)
            os.replace(part, self.output / name)
            self._record("file", {"name": name, "bytes": len(data)}, file=(name, len(data)))

    def _record(self, type: str, data: Mapping[str, Any], share: float | None = None, file: tuple[str, int] | None = None) -> None:
        """share : of the current stage that is done"""
        progress = None if share is None else int(99 * (self._stage + share) / max(len(self._stages), 1))
        data = data if progress is None else {**data, "progress": progress}
        with suppress(sqlite3.Error):  # an event less; the end is what counts
            if not self.store.record(self.task, type, data, progress=progress, file=file):
                raise _GivenUp
        tell(self.task.id)


def _sheet(images: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) -> (rows h, columns w, 3): two columns, as the views are drawn."""
    count, height, width, channels = images.shape
    rows = -(-count // 2)
    padded = np.ones((2 * rows, height, width, channels), images.dtype)
    padded[:count] = images
    return padded.reshape(rows, 2, height, width, channels).swapaxes(1, 2).reshape(rows * height, 2 * width, channels)


def tell(id: str) -> None:
    """Say that there is something new of a task; "" once the worker is ready."""
    print(id, flush=True)


def main(arguments: list[str]) -> int:
    """The process of a worker."""
    end_with_parent(os.getppid())
    try:
        Worker(WorkerOptions.from_json(arguments[0])).serve()
    except DeviceLost as error:
        print(error, file=sys.stderr, flush=True)
        return LOST
    except MeshwrightError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    # Not sys.exit: Python aborts at its end while a thread still reads standard input, and the exit code would be lost.
    os._exit(main(sys.argv[1:]))

"""Shared by every test: one thread a process, so that results and times do not depend on the machine's cores; nothing of this user's
own configuration and cache, read or written; and what takes long to make, made once for all processes of a run."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshwright.engines.files.lock import locked

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# What a slow test is taken to last that does not say so.
SLOW_SECONDS = 3.0
Once = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin, so that no process is left alone with one at the end."""
    slow: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("slow")
        slow[item.path] = slow.get(item.path, 0.0) + (0.0 if marker is None else marker.args[0] if marker.args else SLOW_SECONDS)
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """Spares every later garbage collection, one after each exported component, the modules of PyTorch and its like."""
    gc.freeze()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pytest's folder of this run, which all its processes share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def once(run_folder: Path) -> Once:
    """once(name, write): the path of that name, which write(path) makes the first time that any process of this run asks for it.

    Nothing may change what is there.
    """
    shared = run_folder / "shared"
    shared.mkdir(exist_ok=True)

    def path(name: str, write: Callable[[Path], object]) -> Path:
        made, mark = shared / name, shared / f"{name}.made"
        with locked(shared / f"{name}.lock", on_wait=lambda holder: None):
            if not mark.exists():
                write(made)
                mark.touch()
        return made

    return path


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Iterator[None]:
    """What tests write below pytest's folder is trusted: most packs there are made by hand. Tests of trust take the variable away."""
    folder = tmp_path_factory.mktemp("user")
    own = {"MESHWRIGHT_CONFIG": str(folder / "config"), "MESHWRIGHT_TRUSTED": str(run_folder)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        if "MESHWRIGHT_CACHE" not in os.environ:
            patch.setenv("MESHWRIGHT_CACHE", str(folder / "cache"))
        yield

"""Shared by every test: one thread a process, so that results and times do not depend on the machine's cores; and nothing of this
user's own configuration and cache, read or written."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests write below pytest's folder is trusted: most packs there are made by hand. Tests of trust take the variable away."""
    folder = tmp_path_factory.mktemp("user")
    own = {"MESHWRIGHT_CONFIG": str(folder / "config"), "MESHWRIGHT_TRUSTED": str(tmp_path_factory.getbasetemp())}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        if "MESHWRIGHT_CACHE" not in os.environ:
            patch.setenv("MESHWRIGHT_CACHE", str(folder / "cache"))
        yield

"""Small checkpoints in the published layouts, each written when a test first asks for it."""

import pytest

from benchmarks import published as writer


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A function from a name, such as "zero123plus-v1.2", to its folder or file; tests must not change what is there."""
    out = tmp_path_factory.mktemp("published")

    def path(name):
        writer.write(out, names=[name])
        return out / name
    return path

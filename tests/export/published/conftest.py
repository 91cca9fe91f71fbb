"""Small checkpoints in the published layouts, each written when a test first asks for it."""

import pytest

from benchmarks.full_size import published as writer


@pytest.fixture(scope="session")
def published(once):
    """A function from a name, such as "zero123plus-v1.2", to its folder or file; tests must not change what is there."""
    def path(name):
        mark = once(f"published-{name}", lambda mark: writer.write(mark.with_name("published"), names=[name]))
        return mark.with_name("published") / name
    return path

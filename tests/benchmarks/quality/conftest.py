"""What both runs of the whole benchmark share."""

import pytest

from benchmarks.quality import families


@pytest.fixture(scope="module")
def one_reference_each():
    """One fresh prop of each family to compare with, in place of twelve."""
    kept, families.PER_FAMILY = families.PER_FAMILY, 1
    families.references.cache_clear()
    yield
    families.PER_FAMILY = kept
    families.references.cache_clear()

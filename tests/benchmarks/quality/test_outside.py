import numpy as np
import pytest

from benchmarks.quality import outside


def test_a_picture_is_shown_whole_on_white():
    shown = outside.thumbnail(np.zeros((100, 400, 3), np.uint8))
    assert shown.shape == (256, 256, 3)
    assert (shown[128] == 0).all() and (shown[90] == 255).all() and (shown[166] == 255).all()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(outside, "FILES", {"no_such_package_at_all": ("a.png",)})
    with pytest.raises(SystemExit, match="no_such_package_at_all is missing"):
        outside.files()

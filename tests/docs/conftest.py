"""A folder in which the examples of the pages run: a tiny pack called `props`, and the files that they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runtime.lora import mixing_pack
from tests.runtime.tiny_pictures import BOTH, BOTH_GRAPHS


@pytest.fixture(scope="session")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For $MESHWRIGHT_PACKS, which is looked into before the bundled packs."""
    folder = tmp_path_factory.mktemp("packs")
    mixing_pack.build(folder / "props", BOTH_GRAPHS, {**BOTH, "finish": {"faces": 500, "texture": 64}})
    return folder


@pytest.fixture
def place(packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures, a list of prompts and a LoRA in it."""
    height, width = np.mgrid[-1:1:48j, -1:1:48j]
    alpha = np.where(np.hypot(height, width) < 0.7, 255, 0)
    for name, colour in (("mug.png", (200, 40, 40)), ("front.png", (40, 40, 200)), ("side.png", (40, 200, 40))):
        Image.fromarray(np.dstack([*(np.full_like(alpha, part) for part in colour), alpha]).astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "prompts.txt").write_text("a red chair\na blue table\n")
    mixing_pack.swap(tmp_path / "style.safetensors")
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(packs))
    monkeypatch.chdir(tmp_path)
    return tmp_path

"""A pack that gets further components."""

import json

import numpy as np
import pytest

from meshwright.engines.errors import ExportError
from meshwright.export.pack.writer import extend_pack
from meshwright.runtime import Pack
from tests.export.small import Rows, spec
from tests.runtime.tiny_pack import build


def test_components_are_added_and_all_else_stays(tmp_path):
    folder = build(tmp_path / "pack")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    extend_pack(folder, [spec(kind="prompt_check")], {"recipes": ["sharp-it"]})
    for name, content in before.items():
        assert name in ("pack.json", "golden.npz") or (folder / name).read_bytes() == content
    pack = Pack.open(folder)
    assert pack.manifest.recipes == ("sharp-it",) and pack.manifest.find("prompt_check") and pack.manifest.find("prior_step")
    with np.load(folder / "golden.npz") as golden:
        assert {name.split("/")[0] for name in golden.files} == set(json.loads((folder / "pack.json").read_text())["components"])


def test_what_fails_leaves_the_pack_as_it_was(tmp_path):
    folder = build(tmp_path / "pack")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ExportError):
        extend_pack(folder, [spec(Rows(shift=1.0), reference=Rows())], {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

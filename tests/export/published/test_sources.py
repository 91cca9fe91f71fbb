"""Finding checkpoints on disk and in the local copy of the hub; nothing here touches a network."""

import os
import subprocess
import sys

import pytest

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.sources import SHAP_E, describe, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = """
import sys
from meshwright.engines.errors import CheckpointError
from meshwright.export.published.sources import resolve
try:
    print(resolve(*sys.argv[1:]))
except CheckpointError as error:
    print(error)
"""


def test_a_path_is_itself(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"x")
    assert resolve(str(tmp_path)) == tmp_path and resolve(str(tmp_path / "a.ckpt")) == tmp_path / "a.ckpt"


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~") == tmp_path


@pytest.mark.parametrize("text", [
    "/no/such/folder", "./no/folder", "../none", "none.ckpt", "a b/c", "", "org/", "~nobody-of-that-name",
    "a\0b"])
def test_what_is_neither_a_path_nor_an_id(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist; expected a path, or ORG/NAME"):
        resolve(text)


def test_a_name_that_no_file_can_have():
    with pytest.raises(CheckpointError, match="xxx cannot be read; received .*too long"):
        resolve("x" * 300)


def test_sources_are_described_by_their_hashes(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    assert describe("openai/shap-e prior", [path], SHAP_E) == [{
        "name": "openai/shap-e prior", "file": "model.safetensors", "bytes": 3, "license": "MIT", "commercial_use": "yes",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]


@pytest.fixture
def hub(tmp_path):
    """A function that runs `resolve` in a process whose hub client is offline, over a cache with one small repository."""
    repository = tmp_path / "cache" / "models--some--thing"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "unet" / "config.json").write_text("{}")

    def run(*arguments, **environment):
        offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run([sys.executable, "-c", RESOLVE, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                              env={**os.environ, **offline, **environment})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    run.snapshot = snapshot
    return run


def test_an_id_is_the_local_copy_of_a_repository(hub):
    assert hub("some/thing") == str(hub.snapshot)
    assert hub("some/thing/unet/config.json") == str(hub.snapshot / "unet" / "config.json")


def test_an_id_that_cannot_be_had(hub):
    assert hub("some/other").startswith("some/other does not exist, and could not be downloaded from the Hugging Face hub; received ")
    assert hub("some/thing/none.ckpt").endswith("give the path of a copy on this machine")


def test_without_the_hub_client(hub, tmp_path):
    (tmp_path / "blocked" / "huggingface_hub").mkdir(parents=True)
    (tmp_path / "blocked" / "huggingface_hub" / "__init__.py").write_text("raise ImportError('not installed')")
    text = hub("some/thing", PYTHONPATH=str(tmp_path / "blocked"))
    assert "huggingface_hub is not installed to look for it; pip install huggingface_hub, or download it" in text

"""Packs that a user trusts: remembered by what is in them, believed only from a file of the user's own."""

import os
import stat

import pytest

from meshwright.engines.files import trust as trust_file
from meshwright.engines.files.trust import EXPORTED, TRUSTED_BY_NAME, config_folder, distrust, trust, trusted

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("MESHWRIGHT_TRUSTED")
    return tmp_path / "config"


def test_a_pack_is_trusted_by_its_hash_wherever_it_lies(tmp_path, config):
    assert trusted(tmp_path, A) is None and not config.exists()
    assert trust(tmp_path, A, EXPORTED) and trust(tmp_path, B, TRUSTED_BY_NAME)
    assert trusted(tmp_path / "moved", A) == "exported by this user" and trusted(tmp_path, B) == "trusted by this user"
    assert distrust(A) and not distrust(A)
    assert trusted(tmp_path, A) is None and trusted(tmp_path, B) is not None
    assert stat.S_IMODE((config / "trusted_packs.json").stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, f'{{"{A}": 3}}', f'{{"{A}": {{}}}}'])
def test_a_damaged_file_trusts_nothing(tmp_path, config, content):
    config.mkdir()
    (config / "trusted_packs.json").write_text(content)
    assert trusted(tmp_path, A) is None
    assert trust(tmp_path, B, TRUSTED_BY_NAME) and trusted(tmp_path, B) == TRUSTED_BY_NAME


def test_a_file_that_others_can_write_trusts_nothing(tmp_path, config):
    trust(tmp_path, A, TRUSTED_BY_NAME)
    (config / "trusted_packs.json").chmod(0o666)
    assert trusted(tmp_path, A) is None


def test_a_fifo_in_its_place_is_not_waited_for(tmp_path, config):
    config.mkdir()
    os.mkfifo(config / "trusted_packs.json")
    assert trusted(tmp_path, A) is None


def test_folders_that_the_environment_names(tmp_path, monkeypatch):
    inside, outside = tmp_path / "packs" / "one", tmp_path / "packs-elsewhere"
    monkeypatch.setenv("MESHWRIGHT_TRUSTED", os.pathsep.join(["", "relative", str(tmp_path / "packs")]))
    assert trusted(inside, A) == f"in {tmp_path / 'packs'}, which $MESHWRIGHT_TRUSTED names"
    assert trusted(outside, A) is None and trusted(tmp_path, A) is None
    (tmp_path / "packs").mkdir()
    outside.mkdir()
    (tmp_path / "packs" / "link").symlink_to(outside)
    assert trusted(tmp_path / "packs" / "link", A) is None


def test_a_user_without_a_place_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(trust_file, "config_folder", lambda: None)
    assert not trust(tmp_path, A, TRUSTED_BY_NAME) and trusted(tmp_path, A) is None and not distrust(A)


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MESHWRIGHT_CONFIG", str(tmp_path / "file"))
    assert not trust(tmp_path, A, TRUSTED_BY_NAME) and trusted(tmp_path, A) is None


def test_the_folder(monkeypatch):
    monkeypatch.delenv("MESHWRIGHT_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert str(config_folder()) == "/somewhere/meshwright"

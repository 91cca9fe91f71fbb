"""Where files are kept, system by system."""

from pathlib import Path

import pytest

from meshwright.engines.errors import OutputError
from meshwright.engines.files import user_folder
from meshwright.engines.files.user_folder import config_folder, default_folder

VARIABLES = ("MESHWRIGHT_CACHE", "MESHWRIGHT_CONFIG", "LOCALAPPDATA", "APPDATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
WINDOWS = {"LOCALAPPDATA": "/u/AppData/Local", "APPDATA": "/u/AppData/Roaming"}
XDG = {"XDG_CACHE_HOME": "/x/cache", "XDG_CONFIG_HOME": "/x/config"}


@pytest.fixture
def system(monkeypatch):
    """Makes a system with only these variables, and the home folder /u."""

    def become(name, variables):
        for variable in VARIABLES:
            monkeypatch.delenv(variable, raising=False)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(user_folder.sys, "platform", name)
        monkeypatch.setattr(Path, "home", lambda: Path("/u"))

    return become


@pytest.mark.parametrize(("name", "variables", "cache", "config"), [
    ("linux", {}, "/u/.cache/meshwright", "/u/.config/meshwright"),
    ("linux", XDG, "/x/cache/meshwright", "/x/config/meshwright"),
    ("linux", WINDOWS, "/u/.cache/meshwright", "/u/.config/meshwright"),
    ("darwin", {}, "/u/Library/Caches/meshwright", "/u/Library/Application Support/meshwright"),
    ("darwin", XDG, "/x/cache/meshwright", "/x/config/meshwright"),
    ("win32", WINDOWS | XDG, "/u/AppData/Local/meshwright", "/u/AppData/Roaming/meshwright"),
    ("win32", {}, "/u/.cache/meshwright", "/u/.config/meshwright"),
    ("win32", WINDOWS | {"MESHWRIGHT_CACHE": "/a", "MESHWRIGHT_CONFIG": "/b"}, "/a", "/b"),
])
def test_the_folders_of_each_system(system, name, variables, cache, config):
    system(name, variables)
    assert (default_folder(), config_folder()) == (Path(cache) / "engines", Path(config))


def test_a_user_without_a_home(system, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    system("linux", {})
    monkeypatch.setattr(Path, "home", no_home)
    assert config_folder() is None
    with pytest.raises(OutputError, match="no home folder for the engine cache; set MESHWRIGHT_CACHE to a folder"):
        default_folder()

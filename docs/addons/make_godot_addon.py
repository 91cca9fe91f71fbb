"""Writes the plugin for Godot as a zip, to be unpacked in a project: `python docs/addons/make_godot_addon.py meshwright_godot.zip`."""

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def make(out: Path) -> None:
    """The folder `addons/meshwright`."""
    folder = HERE / "godot"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("addons/meshwright/*.*")):
            archive.write(path, path.relative_to(folder).as_posix())


if __name__ == "__main__":
    make(Path(sys.argv[1]))

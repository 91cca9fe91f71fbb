"""Writes the add-on for Blender as a zip: `python docs/addons/make_blender_addon.py meshwright_blender.zip`."""

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "runtime/client/__init__.py"


def make(out: Path) -> None:
    """The add-on's own files, and the client."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((HERE / "blender").glob("*.*")):
            archive.write(path, path.name)
        archive.write(CLIENT, "client.py")


if __name__ == "__main__":
    make(Path(sys.argv[1]))

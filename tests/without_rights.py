"""Root may read and write everything: tests of files that are closed to the user run as nobody where root starts them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NOBODY = 65534
# The group stays root.
ENTER = 0o011


@contextmanager
def without_rights(*paths: Path) -> Iterator[None]:
    """Within, this process has the rights of the owner of `paths` and no more."""
    if os.geteuid() != 0:
        yield
        return
    with ExitStack() as undo:
        for folder in {folder for path in paths for folder in path.parents}:
            mode = folder.stat().st_mode
            if mode & ENTER != ENTER:
                folder.chmod(mode | ENTER)
                undo.callback(folder.chmod, mode)
        for path in paths:
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        undo.callback(os.seteuid, 0)
        yield

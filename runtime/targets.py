"""Where a run of the command line writes: checked before the work, written after it, all files or none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..engines.errors import OutputError
from .generation import Generation, is_stage_name
from .meshes.formats import check_output, companions, write_files
from .meshes.gltf import png_bytes


@dataclass(frozen=True)
class Targets:
    """output : of the mesh, its ending says how. preview : a PNG of it. stages : a folder for the early results, which may be new."""

    output: Path
    preview: Path | None = None
    stages: Path | None = None

    def check(self, sources: Iterable[Path] = ()) -> None:
        """OutputError if something cannot be written, would be written over another file of the run, or over one of its sources.

        sources : files that the run reads. A mesh may take the place of the one that it was made from.
        """
        check_output(self.output)
        if self.preview is not None:
            _check_preview(self.preview)
        if self.stages is not None:
            _check_folder(self.stages)
        beside = {_place(path) for path in companions(self.output)}
        if self.preview is not None and _place(self.preview) in beside:
            raise OutputError(f"preview {self.preview}", received="the name of the mesh's texture", expected="another name")
        for path in filter(None, (self.output, self.preview, *companions(self.output))):
            if self._is_stage(path):
                raise OutputError(f"{path} would be written twice", received="a folder for the stages that have a file of that name",
                                  remedy="choose another folder or name")
        for path in sources:
            if _place(path) in beside or self._is_stage(path) or self.preview is not None and _place(path) == _place(self.preview):
                raise OutputError(f"{path} would be overwritten, and the mesh is made from it", remedy="choose another folder or name")

    def write(self, made: Generation) -> list[Path]:
        """Write everything; the files, the mesh first. OutputError leaves neither a file nor a folder behind."""
        files = made.encode(self.output)
        if self.preview is not None:
            files[self.preview] = png_bytes(made.preview())
        if self.stages is None:
            write_files(files)
            return list(files)
        files |= made.encode_stages(self.stages)
        is_new = not self.stages.is_dir()
        try:
            if is_new:
                _make_folder(self.stages)
            write_files(files)
        except BaseException:
            if is_new and self.stages.is_dir():
                self.stages.rmdir()
            raise
        return list(files)

    def _is_stage(self, path: Path) -> bool:
        return self.stages is not None and is_stage_name(path.name) and _place(path).parent == self.stages.resolve()


def _place(path: Path) -> Path:
    """The same for all ways to write a path. A link is a place of its own: it is replaced, not what it leads to."""
    return path.parent.resolve() / path.name


def _check_preview(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise OutputError(f"preview {path}", expected="a name that ends in .png")
    if path.exists() and not path.is_file() or not _is_open(path.parent):
        raise OutputError(f"{path} cannot be written", expected="a name in a folder that is there and can be written")


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir() or not _is_open(path if path.is_dir() else path.parent):
        raise OutputError(f"{path} cannot be written", expected="a folder, or a new name in a folder, that can be written")


def _is_open(folder: Path) -> bool:
    """Whether there is such a folder that takes new files."""
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir()
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made", received=error.strerror or str(error)) from error

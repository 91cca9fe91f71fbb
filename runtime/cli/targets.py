"""Where a run of the command line writes: checked before the work, written after it as one result."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...engines.errors import OutputError
from ...engines.files.file_set import check_writable, write_files
from ..assets.asset import Asset, asset_files
from ..assets.options import AssetOptions
from ..files.gltf.encoding import png_bytes
from ..files.overwriting import ELSEWHERE, Source, check_not_read, earlier_stages, is_stage_name
from ..files.writer import check_free, check_output, companions
from ..results import Generation
from ..saved_run import RUN_FILES, check_run_folder


@dataclass(frozen=True)
class Targets:
    """output : of the mesh, its ending says how. preview : a PNG of it. stages : a folder for the early results, which may be new.

    assets : what is written in place of the mesh alone, in files named after `output`
    run : a folder for what a later run continues from, which may be new
    """

    output: Path
    preview: Path | None = None
    stages: Path | None = None
    assets: AssetOptions | None = None
    run: Path | None = None

    def check(self, sources: Iterable[Source] = ()) -> None:
        """OutputError if something cannot be written, would be written twice, or over a file that the run reads.

        What a killed run left in these folders is finished or deleted on the way; nothing else is changed.
        """
        check_output(self.output)
        for path in self._written():
            check_free(path)
        if self.preview is not None:
            _check_preview(self.preview)
        if self.stages is not None:
            _check_folder(self.stages)
        if self.run is not None:
            check_run_folder(self.run)
            if not _is_open(self.run if os.path.isdir(self.run) else self.run.parent):
                raise OutputError(f"{self.run} cannot be written", expected="a folder, or a new name in a folder, that can be written")
        self._check_twice()
        self.check_sources(sources)
        inside = () if self.stages is None else (self.stages / "view_0.png",)
        check_writable([*self._named(), *inside])

    def check_sources(self, sources: Iterable[Source]) -> None:
        """OutputError if one of the files that the run reads would be written over, by whatever name or link it is reached."""
        check_not_read(self._files_there(), sources)

    def write(self, made: Generation | Asset, run: Generation | None = None) -> list[Path]:
        """Write everything; the files, the mesh first. Early results of an earlier run go. OutputError leaves all as it was.

        run : whose early results are kept, where there is a folder for them
        """
        files = made.encode(self.output)
        if self.preview is not None:
            files[self.preview] = png_bytes(made.preview())
        if self.stages is not None and run is not None:
            files |= run.encode_stages(self.stages)
        if self.run is not None and run is not None:
            files |= run.encode_run(self.run)
        names = {path.name for path in files}
        old = [] if self.stages is None else [path for path in earlier_stages(self.stages) if path.name not in names]
        write_files(files, old)
        return list(files)

    def _named(self) -> list[Path]:
        """All files outside of the folder for the stages."""
        run = [] if self.run is None else [self.run / name for name in RUN_FILES]
        return [*self._written(), *run, *([] if self.preview is None else [self.preview])]

    def _written(self) -> list[Path]:
        """The files of the mesh, and those beside them that it names."""
        return [self.output, *companions(self.output)] if self.assets is None else asset_files(self.output, self.assets)

    def _files_there(self) -> Iterator[Path]:
        """What is there now and may be replaced or taken away."""
        yield from (path for path in self._named() if os.path.lexists(path))
        if self.stages is not None:
            # Where names are blind to case, the file of another spelling is replaced.
            spelt = {self.stages / name.lower() for name in _names(self.stages) if is_stage_name(name.lower())}
            yield from sorted(path for path in spelt if os.path.lexists(path))

    def _check_twice(self) -> None:
        places = [_place(path) for path in self._named()]
        if self.preview is not None and places[-1] in places[:-1]:
            raise OutputError(f"preview {self.preview}", received="the name of the mesh's texture", expected="another name")
        if self.stages is None:
            return
        for path, place in zip(self._named(), places, strict=True):
            if place == _place(self.stages) or place[0] == _folder(self.stages) and is_stage_name(place[1]):
                raise OutputError(f"{path} would be written twice", received="a folder for the stages that have a file of that name",
                                  remedy=ELSEWHERE)


def _place(path: Path) -> tuple[object, str]:
    """The same for all ways to write a path, and for two that are one file on some systems."""
    return _folder(path.parent), unicodedata.normalize("NFC", path.name).casefold()


def _folder(path: Path) -> object:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return Path(os.path.realpath(path))


def _check_preview(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise OutputError(f"preview {path}", expected="a name that ends in .png")
    if os.path.exists(path) and not os.path.isfile(path) or not _is_open(path.parent):
        raise OutputError(f"{path} cannot be written", expected="a name in a folder that is there and can be written")


def _check_folder(path: Path) -> None:
    if os.path.exists(path) and not os.path.isdir(path) or not _is_open(path if os.path.isdir(path) else path.parent):
        raise OutputError(f"{path} cannot be written", expected="a folder, or a new name in a folder, that can be written")
    taken = [name for name in _names(path) if is_stage_name(name) and os.path.exists(path / name) and not os.path.isfile(path / name)]
    if taken:
        raise OutputError(f"{path / taken[0]} is in the way of a stage file", expected="a file, or nothing", remedy=ELSEWHERE)


def _names(folder: Path) -> list[str]:
    """Of what is in a folder; none where there is no folder, or it may not be read."""
    with suppress(OSError):
        return os.listdir(folder)
    return []


def _is_open(folder: Path) -> bool:
    """Whether there is such a folder that takes new files."""
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)

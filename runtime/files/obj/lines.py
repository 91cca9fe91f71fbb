"""Everything that the lines of an OBJ file say, block by block, as arrays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ....engines.errors import InputError
from ..scene.notices import Notices, quoted
from ..scene.surfaces import MAX_FACES, check_corners
from .numbers import IS_SPACE, NEWLINE, Lines, chosen, corners, floats, table
from .text import decode_name, line_argument, with_count

# Bytes that are read together: bounds the memory, and is the time between two calls of `progress`.
BLOCK = 1 << 19
MAX_LINE_BYTES = 16 << 20
# Vertices, uvs or normals: as many as the corners of the triangles that are read.
MAX_ROWS = 3 * MAX_FACES
# Different first words that are remembered for messages.
MAX_WORDS = 100
_OLD_FACE = re.compile(rb"^fo(?=[ \t])", re.MULTILINE)
_INDENT = re.compile(rb"^[ \t]+", re.MULTILINE)
_COMMENT = re.compile(rb"^([vf][^\n#]*[ \t])#[^\n]*", re.MULTILINE)
# Words that change nothing of triangles with base colours: names, groups, smoothing, levels of detail, shadows.
_NOTHING = frozenset(b"o g s mg lod bevel c_interp d_interp shadow_obj trace_obj".split())
_FREE_FORM = frozenset(b"vp cstype deg bmat step curv curv2 surf parm trim hole scrv sp end con ctech stech bzp bsp cdc cdp res".split())
_OUTSIDE = frozenset(b"call csh maplib usemap".split())


@dataclass(eq=False)
class ObjLines:
    """What a file holds. Corners, uvs and normals are not checked against each other.

    positions : (n, 3) float64
    vertex_colors : (n, 3) float64, the colours behind the positions as they stand in the file, nan where there
        are none; None if nowhere
    uvs : (n, 2) float32, origin at the bottom left; normals : (n, 3) float32
    corners : (k, 3) int32 of position, uv, normal, from 1; 0 is not given; counts : (m,) int64, of the corners of each face
    materials : (m,) int64, of each face, into `names`; lines : (m,) int64, where each face stands
    names : of materials as `usemtl` gives them; the first is "" for faces before any
    libraries : what follows each `mtllib`
    """

    positions: np.ndarray
    vertex_colors: np.ndarray | None
    uvs: np.ndarray
    normals: np.ndarray
    corners: np.ndarray
    counts: np.ndarray
    materials: np.ndarray
    lines: np.ndarray
    names: list[str]
    libraries: list[str]


def read_lines(text: bytes, notices: Notices, progress: Callable[[float], None]) -> ObjLines:
    """All lines of a text as `obj_text.plain_text` gives it. ValueError, with its number, for a line that cannot be meant.

    notices : gets what could not be honoured
    progress : called after every `BLOCK` with the share that is done; what it raises ends the reading
    """
    reading, at = _Reading(), 0
    while at < len(text):
        end = text.rfind(b"\n", at, at + BLOCK) + 1 or (text.find(b"\n", at + BLOCK) + 1 or len(text))
        if end - at > MAX_LINE_BYTES:
            raise ValueError(f"line {reading.line} is longer than {MAX_LINE_BYTES >> 20} MiB")
        reading.add(text[at:end])
        at = end
        progress(at / len(text))
    return reading.result(notices)


@dataclass
class _Reading:
    """What the blocks have given so far."""

    line: int = 1
    rows: np.ndarray = field(default_factory=lambda: np.zeros(3, np.int64))
    triangles: int = 0
    positions: list[np.ndarray] = field(default_factory=list)
    vertex_colors: list[np.ndarray | int] = field(default_factory=list)
    uvs: list[np.ndarray] = field(default_factory=list)
    normals: list[np.ndarray] = field(default_factory=list)
    faces: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=lambda: {"": 0})
    material: int = 0
    libraries: dict[str, None] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    with_count: dict[str, list[int]] = field(default_factory=dict)

    def add(self, block: bytes) -> None:
        """Some whole lines."""
        if block[:1] in b" \t" or b"\n " in block or b"\n\t" in block:
            block = _INDENT.sub(b"", block)
        if b"fo" in block:
            block = _OLD_FACE.sub(b"f", block)
        if b"#" in block:
            block = _COMMENT.sub(rb"\1", block)
        text = np.frombuffer(block + b"\n\n" if not block.endswith(b"\n") else block + b"\n", np.uint8)
        ends = np.flatnonzero(text == NEWLINE)[:-1] + 1
        starts = np.concatenate([[0], ends[:-1]])
        first, second, third = text[starts], text[starts + 1], text[np.minimum(starts + 2, len(text) - 1)]
        is_v = first == ord("v")
        kinds = [is_v & IS_SPACE[second], is_v & (second == ord("t")) & IS_SPACE[third], is_v & (second == ord("n")) & IS_SPACE[third]]
        is_face = (first == ord("f")) & IS_SPACE[second]
        other = ~(kinds[0] | kinds[1] | kinds[2] | is_face | (first == NEWLINE) | (first == ord("#")))
        changes = self._others(block, starts, ends, np.flatnonzero(other))
        for kind, read, letters in zip(kinds, (self._positions, self._uvs, self._normals), (1, 2, 2), strict=True):
            if kind.any():
                read(chosen(text, starts, ends, np.flatnonzero(kind), self.line, letters))
        if is_face.any():
            which = np.flatnonzero(is_face)
            before = self.rows + np.stack([np.cumsum(kind)[which] for kind in kinds], axis=1)
            self._faces(chosen(text, starts, ends, which, self.line, 1), before, changes)
        self.rows, self.line = self.rows + [np.count_nonzero(kind) for kind in kinds], self.line + len(starts)
        if self.rows.max() > MAX_ROWS:
            raise InputError("the mesh has too many vertices", received=f"more than {MAX_ROWS:,}", expected=f"at most {MAX_ROWS:,}",
                             remedy="decimate it first")

    def result(self, notices: Notices) -> ObjLines:
        """The blocks as one."""
        self._tell(notices)
        corners, counts, materials, lines = (np.concatenate(arrays) for arrays in zip(*self.faces or [(np.empty(0),) * 4], strict=True))
        if not len(counts):
            raise ValueError("; ".join(["it has no faces", *notices.messages()]))
        vertex_colors = None
        if any(not isinstance(each, int) for each in self.vertex_colors):
            vertex_colors = np.concatenate([np.full((each, 3), np.nan) if isinstance(each, int) else each for each in self.vertex_colors])
        return ObjLines(_joined(self.positions, 3), vertex_colors, _joined(self.uvs, 2), _joined(self.normals, 3), corners, counts,
                        materials, lines, list(self.names), list(self.libraries))

    def _positions(self, lines: Lines) -> None:
        values, counts = floats(lines, 3)
        self.positions.append(table(values, counts, 3).copy())
        colored = (counts == 6) | (counts == 7)
        self.vertex_colors.append(np.where(colored[:, None], table(values, counts, 6)[:, 3:], np.nan) if colored.any() else len(counts))
        if (counts == 4).any():
            self._count("vertex weights (w) are ignored", lines.numbers[(counts == 4) & (table(values, counts, 4)[:, 3] != 1)])

    def _uvs(self, lines: Lines) -> None:
        values, counts = floats(lines, 1)
        rows = table(values, counts, 2)
        rows = np.where((counts == 1)[:, None] & [False, True], 0, rows)
        self.uvs.append(rows.astype(np.float32))

    def _normals(self, lines: Lines) -> None:
        values, counts = floats(lines, 3)
        rows = table(values, counts, 3)
        self._count("normals that are not numbers are replaced by face normals", lines.numbers[np.isnan(rows).any(axis=1)])
        self.normals.append(rows.astype(np.float32))

    def _faces(self, lines: Lines, before: np.ndarray, changes: tuple[list[int], list[int]]) -> None:
        """changes : from which lines on (numbers in the file) which materials are used"""
        found, counts = corners(lines, before)
        usable = counts >= 3
        if not usable.all():
            self._count("faces of fewer than three corners are left out", lines.numbers[~usable])
            found, counts = found[np.repeat(usable, counts)], counts[usable]
        numbers = lines.numbers[usable]
        materials = np.array(changes[1], np.int64)[np.searchsorted(changes[0], numbers, "right") - 1]
        self.triangles += int((counts - 2).sum())
        check_corners(3 * self.triangles)
        self.faces.append((found, counts, materials, numbers))

    def _others(self, block: bytes, starts: np.ndarray, ends: np.ndarray, which: np.ndarray) -> tuple[list[int], list[int]]:
        """Reads all lines that are no vertices and no faces; from which lines on which materials are used."""
        lines, materials = [0], [self.material]
        for index, start, end in zip(which.tolist(), starts[which].tolist(), ends[which].tolist(), strict=True):
            line = block[start:end]
            word = line.split(None, 1)[0] if not line.isspace() else b"s"
            if word == b"usemtl":
                self.material = self.names.setdefault(line_argument(line), len(self.names))
                lines.append(self.line + index)
                materials.append(self.material)
            elif word == b"mtllib":
                self.libraries[line_argument(line)] = None
            elif word not in _NOTHING:
                self._leave_out(word, self.line + index)
        return lines, materials

    def _leave_out(self, word: bytes, line: int) -> None:
        kind = "lines and points are left out" if word in (b"l", b"p") else \
            "curves and surfaces without faces are left out" if word in _FREE_FORM else \
            "statements that refer to other files are ignored" if word in _OUTSIDE else "unrecognised lines are ignored"
        words = self.left_out.setdefault(kind, {})
        if len(words) < MAX_WORDS:
            words.setdefault(decode_name(word[:20]), line)

    def _count(self, what: str, lines: np.ndarray) -> None:
        if len(lines):
            self.with_count.setdefault(what, [0, int(lines[0])])[0] += len(lines)

    def _tell(self, notices: Notices) -> None:
        for what, (count, line) in self.with_count.items():
            notices.add(with_count(what, count, line))
        for kind, words in self.left_out.items():
            for word, line in words.items():
                notices.add(kind, f"{quoted(word)} in line {line}")


def _joined(blocks: list[np.ndarray], width: int) -> np.ndarray:
    return np.concatenate(blocks) if blocks else np.empty((0, width))

"""The numbers of many lines of an OBJ file at once: vertices and faces, with numpy."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

SPACE, NEWLINE, SLASH, MINUS, ZERO, NINE = b" \n/-09"
IS_SPACE = np.zeros(256, bool)
IS_SPACE[list(b" \t\n\r\v\f")] = True
IN_FACES = IS_SPACE.copy()
IN_FACES[list(b"0123456789-/")] = True
# What a corner asks for where it says 0: no file has so many. Numbers that do not fit are one less.
INVALID_INDEX = np.iinfo(np.int32).max
# What programs print for a number that is none, and Python does not know.
_NAN = re.compile(rb"(?<!\S)[+-]?(?:1\.?[0-9]*#[a-z0-9]+|nan\([a-z0-9]*\))(?!\S)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Lines:
    """Some lines of a block of text, one after the other, each with its newline.

    text : (k,) uint8, first words replaced by spaces
    starts : (n,) int64, where each line begins in `text`
    numbers : (n,) int64, of each line in the file, from 1
    """

    text: np.ndarray
    starts: np.ndarray
    numbers: np.ndarray

    def only(self, keep: np.ndarray) -> Lines:
        """The lines of the mask `keep` (n,) bool."""
        lengths = np.diff(np.append(self.starts, len(self.text)))
        return Lines(self.text[np.repeat(keep, lengths)], np.cumsum(lengths[keep]) - lengths[keep], self.numbers[keep])

    def words(self, which: np.ndarray) -> list[tuple[int, list[bytes]]]:
        """The number and the words of each line of the mask `which`, up to a comment."""
        lines = self.text.tobytes().split(b"\n")
        return [(number, _before_comment(lines[index].split())) for index, number in
                zip(np.flatnonzero(which).tolist(), self.numbers[which].tolist(), strict=True)]


def chosen(text: np.ndarray, starts: np.ndarray, ends: np.ndarray, which: np.ndarray, first: int, word: int) -> Lines:
    """The lines of the indices `which` of a block.

    text : (k,) uint8; starts, ends : (n,) int64, of its lines, the newline included
    first : the number of the block's first line; word : letters of the lines' first words
    """
    if which[-1] - which[0] + 1 == len(which):
        part = text[starts[which[0]]:ends[which[-1]]].copy()
    else:
        keep = np.zeros(len(starts), bool)
        keep[which] = True
        part = text[:ends[-1]][np.repeat(keep, ends - starts)]
    lengths = (ends - starts)[which]
    begins = np.cumsum(lengths) - lengths
    for letter in range(word):
        part[begins + letter] = SPACE
    return Lines(part, begins, which + first)


def floats(lines: Lines, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of the lines, flat float64, and (n,) how many each has. ValueError for a line with fewer than `minimum`.

    Numbers that are none (nan, inf, 1.#IND) are nan.
    """
    blank = IS_SPACE[lines.text]
    begins = ~blank
    begins[1:] &= blank[:-1]
    counts = np.add.reduceat(begins.view(np.uint8), lines.starts, dtype=np.int64)
    text = lines.text.tobytes()
    if b"#" in text or b"(" in text:
        text = _NAN.sub(b"nan", text)
    if counts.min() >= minimum and b"_" not in text:
        words = text.split()
        try:
            values = np.fromiter(map(float, words), np.float64, len(words))
        except ValueError:
            pass
        else:
            values[np.isinf(values)] = np.nan
            return values, counts
    return _floats_one_by_one(lines, minimum)


def table(values: np.ndarray, counts: np.ndarray, width: int) -> np.ndarray:
    """(n, width): the first numbers of each line, nan where it has fewer. `values` and `counts` as `floats` gives them."""
    if (counts == counts[0]).all() and counts[0] >= width:
        return values.reshape(len(counts), -1)[:, :width]
    columns = np.arange(width)
    at = np.where(columns < counts[:, None], (np.cumsum(counts) - counts)[:, None] + columns, len(values))
    return np.append(values, np.nan)[at]


def corners(lines: Lines, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k, 3) int32, position, uv and normal of the corners of faces, and (n,) how many each has.

    Numbers count from 1; 0 is one that is not given, and what cannot be in any file is negative, or `INVALID_INDEX` for 0.

    before : (n, 3) int64, how many positions, uvs and normals stand before each line, which negative numbers count back from
    """
    odd = np.add.reduceat((~IN_FACES[lines.text]).view(np.uint8), lines.starts, dtype=np.int64) > 0
    while True:
        even = lines if not odd.any() else lines.only(~odd)
        if not len(even.starts):
            parsed = np.empty((0, 3), np.int32), np.empty(0, np.int64)
            break
        try:
            parsed = _corners_at_once(even, before[~odd])
            break
        except _OddLines as error:
            odd[np.flatnonzero(~odd)[error.lines]] = True
    return parsed if not odd.any() else _merged(parsed, odd, lines, before)


class _OddLines(Exception):
    """lines : (n,) bool, those that have to be read one by one"""

    def __init__(self, lines: np.ndarray) -> None:
        super().__init__()
        self.lines = lines


def _corners_at_once(lines: Lines, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `corners`, of lines of digits, slashes, minus signs and spaces. Raises _OddLines for what is no list of corners."""
    text = lines.text
    digit = (text >= ZERO) & (text <= NINE)
    edge = np.flatnonzero(digit[1:] != digit[:-1])  # a line begins with a space and ends with a newline
    begin, end = edge[0::2] + 1, edge[1::2]
    sign = text[begin - 1] == MINUS
    ahead = begin - 1 - sign
    first = IS_SPACE[text[ahead]]
    double = ~first & (text[ahead - 1] == SLASH)
    single = ~first & ~double
    slot = 2 * double + single.astype(np.int8)
    slot[1:] += single[1:] & single[:-1]
    _check(lines, begin, ahead, (first, single, double), end - begin)
    values = _whole_numbers(text, end, end - begin + 1)
    line = np.searchsorted(lines.starts, begin[sign], "right") - 1
    back = before[line, slot[sign]] + 1 - values[sign]
    values[sign] = np.where(back > 0, back, -values[sign])
    found = np.zeros((int(first.sum()), 3), np.int32)
    found[np.cumsum(first) - 1, slot] = values
    edges = np.searchsorted(begin[first], np.append(lines.starts, len(text)))
    return found, np.diff(edges)


def _check(lines: Lines, begin: np.ndarray, ahead: np.ndarray, kinds: tuple[np.ndarray, np.ndarray, np.ndarray],
           longer: np.ndarray) -> None:
    """Raises _OddLines unless numbers, of `longer` + 1 digits, follow a space, a slash behind a digit, or two slashes behind one.

    ahead : the character before each number and its sign; kinds : which numbers follow a space, one slash, two
    """
    text, (first, single, double) = lines.text, kinds
    slash = text[ahead] == SLASH
    behind = text[np.maximum(ahead - 1 - double, 0)]
    wrong = ~first & ~(slash & (behind >= ZERO) & (behind <= NINE)) | (longer > 8)
    wrong[1:] |= single[1:] & double[:-1]
    wrong[2:] |= single[2:] & single[1:-1] & single[:-2]
    at = [begin[wrong]]
    marks = np.flatnonzero(text == MINUS)
    at.append(marks[(text[marks + 1] < ZERO) | (text[marks + 1] > NINE)])
    marks = np.flatnonzero((text[1:] == SLASH) & IS_SPACE[text[:-1]])
    bad = np.concatenate([*at, marks])
    if len(bad):
        odd = np.zeros(len(lines.starts), bool)
        odd[np.searchsorted(lines.starts, bad, "right") - 1] = True
        raise _OddLines(odd)


def _whole_numbers(text: np.ndarray, end: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(n,) int32: the numbers of so many digits, at most nine, the last of them at `end`; 0 as `INVALID_INDEX`."""
    values = np.empty(len(end), np.int32)
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        which = np.flatnonzero(lengths == length)
        at = end[which] - length + 1
        value = np.zeros(len(which), np.int32)
        for _ in range(length):
            value = 10 * value + (text[at] - ZERO)
            at += 1
        values[which] = value
    values[values == 0] = INVALID_INDEX
    return values


def _merged(parsed: tuple[np.ndarray, np.ndarray], odd: np.ndarray, lines: Lines, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of all lines in order, the odd ones read one by one. ValueError for one that is no face."""
    rows = [[_corner(word, counts, number) for word in words]
            for (number, words), counts in zip(lines.words(odd), before[odd].tolist(), strict=True)]
    counts = np.empty(len(odd), np.int64)
    counts[odd], counts[~odd] = [len(row) for row in rows], parsed[1]
    slow = np.array([corner for row in rows for corner in row], np.int32).reshape(-1, 3)
    owner = np.concatenate([np.repeat(np.flatnonzero(~odd), parsed[1]), np.repeat(np.flatnonzero(odd), counts[odd])])
    return np.concatenate([parsed[0], slow])[np.argsort(owner, kind="stable")], counts


def _corner(word: bytes, before: list[int], line: int) -> tuple[int, int, int]:
    given = (word.split(b"/") + [b"", b""])[:3]
    found = []
    for text, count in zip(given, before, strict=True):
        try:
            value = int(text) if text else None
        except ValueError:
            raise ValueError(f"line {line}: {word.decode('latin-1')[:40]!r} is not a face corner") from None
        if value is not None and value < 0 < count + 1 + value:
            value += count + 1
        found.append(0 if value is None else min(max(value, -INVALID_INDEX), INVALID_INDEX - 1) or INVALID_INDEX)
    return found[0], found[1], found[2]


def _floats_one_by_one(lines: Lines, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    values: list[float] = []
    counts = []
    for number, words in lines.words(np.ones(len(lines.starts), bool)):
        if len(words) < minimum:
            raise ValueError(f"line {number}: {len(words)} numbers where {minimum} are needed")
        values += [_float(word, number) for word in words]
        counts.append(len(words))
    return np.array(values, np.float64), np.array(counts, np.int64)


def _float(word: bytes, line: int) -> float:
    try:
        if b"_" in word:
            raise ValueError
        value = float(word)
    except ValueError:
        if not _NAN.fullmatch(word):
            raise ValueError(f"line {line}: {word.decode('latin-1')[:40]!r} is not a number") from None
        value = np.nan
    return value if abs(value) != np.inf else np.nan


def _before_comment(words: list[bytes]) -> list[bytes]:
    """The words up to one that begins with #, or the part of one before it; the # of "1.#IND" begins no comment."""
    for i, word in enumerate(words):
        at = word.find(b"#")
        if at >= 0 and not _NAN.fullmatch(word):
            return words[:i] + [word[:at]] * (at > 0)
    return words

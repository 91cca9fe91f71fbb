"""A pack's golden inputs, and how far what an engine makes of them is from the reference's outputs.

`golden.npz` is read with suspicion: what each array will take is known, and bounded, before a value is unpacked.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...engines import Engine
from ...engines.errors import PackFormat
from ...engines.files.regular_file import open_regular
from .manifest import Component
from .pack import Pack

Tensors = Mapping[str, np.ndarray]
FILE = "golden.npz"
MAX_FILE_BYTES = 1 << 30
MAX_ARRAYS, MAX_BYTES = 4096, 512 << 20  # of all arrays that are unpacked at a time
MAX_RANK, ENDING = 16, ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Check:
    """How far one component is off. relative : max |a - b| / max |b|, the largest of its outputs."""

    component: str
    relative: float
    absolute: float
    tolerance: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """False also for NaN, which no comparison accepts."""
        return not self.problem and self.relative <= self.tolerance


class Golden:
    """The arrays of one pack's `golden.npz`, each read when it is asked for. PackFormat for a file that is no such thing."""

    def __init__(self, pack: Pack) -> None:
        self._archive = GoldenArchive(pack.path(FILE))

    def replay(self, engine: Engine, component: Component) -> Check:
        """Run the component's inputs on an engine of it, noise and then each of its cases; the worst is what counts.

        Raises what the engine raises.
        """
        expected = self.outputs(component)
        if not expected:
            return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has no entry for it")
        worst = compare_outputs(engine.run(self.inputs(component)), expected, component)
        for case in self.cases(component):
            found = self._replay_case(engine, component, case)
            worst = found if worst.passed and not found.relative <= worst.relative else worst
        return worst

    def cases(self, component: Component) -> tuple[str, ...]:
        """What users give, by the name that pack.json has for its error; none in packs of older exporters."""
        parts = (key.removeprefix(f"{component.name}/").split("/") for key in self._archive.names if key.startswith(f"{component.name}/"))
        return tuple(dict.fromkeys(part[0] for part in parts if len(part) == 3 and part[1] in ("in", "out")))

    def _replay_case(self, engine: Engine, component: Component, case: str) -> Check:
        """Of large outputs the file holds every so many values of the flattened tensor."""
        inputs, expected, strides = (self._named(f"{component.name}/{case}/{part}/") for part in ("in", "out", "stride"))
        if not expected:
            return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has no outputs for {case}")
        outputs = {name: value.ravel()[::_stride(strides, name)] for name, value in engine.run(inputs).items()}
        return compare_outputs(outputs, expected, component)

    def inputs(self, component: Component) -> dict[str, np.ndarray]:
        """What the component is asked, by name."""
        return self._named(f"{component.name}/in/")

    def outputs(self, component: Component) -> dict[str, np.ndarray]:
        """What the reference made of that, by name; empty where the file has no entry for it."""
        return self._named(f"{component.name}/out/")

    def _named(self, prefix: str) -> dict[str, np.ndarray]:
        found = self._archive.read([name for name in self._archive.names if name.startswith(prefix)])
        return {name.removeprefix(prefix): array for name, array in found.items()}


def compare_outputs(outputs: Tensors, expected: Tensors, component: Component) -> Check:
    """How far a component's outputs are from those that were expected."""
    lacking = [name for name in expected if name not in outputs]
    if lacking:
        return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has an output that the model lacks: {lacking[0]}")
    errors = [_errors(outputs[name], reference) for name, reference in expected.items()]
    return Check(component.name, max(e[0] for e in errors), max(e[1] for e in errors), component.tolerance)


def _stride(strides: Tensors, name: str) -> int:
    stride = strides.get(name, np.array(1))
    if stride.shape or stride.dtype.kind not in "iu" or stride < 1:
        raise PackFormat(f"{FILE} has no stride for an output", received=f"{name}: {stride!r}", expected="a positive integer")
    return int(stride)


def _errors(output: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Relative and absolute error; infinite where shapes differ or a value is not a number. reference : of any dtype"""
    if output.shape != reference.shape or reference.dtype.kind not in "fiub" or not np.isfinite(output).all():
        return np.inf, np.inf
    absolute = float(np.abs(output.astype(np.float64) - reference).max(initial=0.0))
    largest = float(np.abs(reference).max(initial=0.0))
    return (absolute / largest if largest else absolute), absolute


class GoldenArchive:
    """The arrays of one archive, each read when it is asked for. PackFormat for a file that is no such thing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as archive:
            found = archive.infolist()
            if len(found) > MAX_ARRAYS or len({each.filename for each in found}) < len(found):
                raise PackFormat(f"{FILE} holds too many arrays, or one of them twice", received=str(len(found)),
                                 expected=f"at most {MAX_ARRAYS}")
            self.names = tuple(each.filename.removesuffix(ENDING) for each in found if each.filename.endswith(ENDING))

    def read(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Those arrays, which the archive has."""
        with self._opened() as archive:
            total = sum(archive.getinfo(name + ENDING).file_size for name in names)
            if total > MAX_BYTES:
                raise PackFormat(f"{FILE} is too large when unpacked", received=f"{total} bytes", expected=f"at most {MAX_BYTES}")
            return {name: _array(archive, name) for name in names}

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with open_regular(self._path, FILE, PackFormat, max_bytes=MAX_FILE_BYTES) as stream, zipfile.ZipFile(stream) as archive:
                yield archive
        # What zipfile and NumPy raise for damaged archives is not one class: RuntimeError where one is encrypted, for instance.
        except (ValueError, OSError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError, OverflowError, MemoryError,
                tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error) as error:
            raise PackFormat(f"{FILE} cannot be read", received=str(error) or type(error).__name__) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array, if its header says what its size in the archive says: neither alone is to be believed."""
    info = archive.getinfo(name + ENDING)
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{name} is of version {version}")
        shape, in_columns, dtype = HEADERS[version](stream)
        if dtype.kind not in "fiub" or len(shape) > MAX_RANK:
            raise ValueError(f"{name} holds {dtype} of rank {len(shape)}, where numbers are read")
        if any(length < 0 for length in shape) or stream.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{name} is an array {dtype} {shape} in {info.file_size} bytes")
        data = stream.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if in_columns else "C")
